"""report.html: the content of report.json with plots and photos, in a single file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linnet_devices.api import Pixels
from linnet_runtime.pages import png_uri, render_page, thumbnail_uri

_SIDE = 150  # pixels of a photo on the page
_PLOT_SCALE = 0.71  # CSS pixels for each pixel of a PNG
_MANY_CLASSES = 20  # a table of more rows scrolls


@dataclass(frozen=True)
class Plots:
    """The plots of a report, each as a PNG."""

    curves: bytes
    confusion: bytes
    precision_recall: bytes
    reliability: bytes


@dataclass(frozen=True)
class Shown:
    """Photos on the page, uint8 RGB [N, H, W, 3], preprocessed as for the network."""

    mistakes: Pixels
    """The photos of the report's ``mistakes``."""
    unsure: Pixels
    """The photos of the report's ``unsure``."""


def render(report: dict[str, Any], plots: Plots, shown: Shown, augmentation: str | None) -> str:
    """The page. ``report`` has the values of report.json; ``augmentation`` is the name of the augmentation page."""
    return render_page(
        "linnet_train.report",
        report=report,
        augmentation=augmentation,
        recipe=_flat(report["recipe"]),
        parts=list(next(iter(report["splits"].values()))),
        largest=max(max(counts.values()) for counts in report["splits"].values()),
        many=len(report["splits"]) > _MANY_CLASSES,
        plots={name: {"uri": png_uri(data), "width": _width(data)} for name, data in vars(plots).items()},
        mistakes=_with_pictures(report["mistakes"], shown.mistakes),
        unsure=_with_pictures(report["unsure"], shown.unsure),
        percent=lambda share: "–" if share is None else f"{100 * share:.1f} %",
        decimal=lambda share: "–" if share is None else f"{share:.3f}",
        points=lambda difference: f"{100 * difference:+.1f}".replace("-", "−"),
        duration=_duration,
    )


def _width(png: bytes) -> int:
    """The width of a plot on the page, with which its text has the same size as the page's."""
    return round(int.from_bytes(png[16:20]) * _PLOT_SCALE)


def _with_pictures(rows: list[dict[str, Any]], pixels: Pixels) -> list[dict[str, Any]]:
    # OpenCV writes JPEGs from BGR.
    return [
        row | {"picture": thumbnail_uri(photo[..., ::-1], _SIDE, _SIDE)}
        for row, photo in zip(rows, pixels, strict=True)
    ]


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of a recipe, with the names of tables as prefixes: {"loss.name": "focal"}."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
