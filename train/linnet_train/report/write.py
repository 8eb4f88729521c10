"""From what training left to the report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_devices.errors import printable
from linnet_runtime.files import write_whole
from linnet_runtime.pages import png_of
from linnet_runtime.proof.intervals import paired_difference
from linnet_runtime.run_files import AUGMENTATION, CONFUSION_MATRIX, CURVES, REPORT, REPORT_PAGE, Config
from linnet_train.data.dataset import Dataset
from linnet_train.report.calibration import fit_temperature
from linnet_train.report.doubts import Evidence, doubts_about
from linnet_train.report.hardware import hardware
from linnet_train.report.metrics import Judged, common_confusions, model_figures
from linnet_train.report.page import Plots, Shown, render
from linnet_train.report.plots import draw_confusion, draw_curves, draw_precision_recall, draw_reliability
from linnet_train.training.phases import Phase

_MOST_SHOWN = 24  # photos of a kind
_MOST_CONFUSIONS = 15


@dataclass(frozen=True)
class Trained:
    """What a report is about.

    ``logits`` are float32 [N, classes] by model ("float", "int8") and part ("val", "test"); ``seconds`` those of the
    steps beside the epochs; ``phases`` belong to the numbers in ``history``.
    """

    config: Config
    photos: Dataset
    history: list[dict[str, Any]]
    phases: Sequence[Phase]
    logits: dict[str, dict[str, Logits]]
    seconds: dict[str, float]


def write_report(run: Path, trained: Trained) -> float:
    """Writes report.json, report.html, curves.png and confusion_matrix.png into the run's directory.

    Returns the temperature of the int8 model.
    """
    photos, classes = trained.photos, trained.photos.classes
    labels = {part: photos.labels[photos.parts[part]] for part in ("val", "test")}
    fitted = {model: fit_temperature(logits["val"], labels["val"]) for model, logits in trained.logits.items()}
    judged = {
        model: Judged(logits["test"], labels["test"], fitted[model] or 1.0) for model, logits in trained.logits.items()
    }
    models = {model: model_figures(found, classes) for model, found in judged.items()}
    difference = paired_difference(judged["int8"].right, judged["float"].right)
    evidence = Evidence(
        int8=models["int8"],
        difference=difference,
        validation_right=int((trained.logits["int8"]["val"].argmax(axis=1) == labels["val"]).sum()),
        validation_photos=len(labels["val"]),
        fitted=fitted["int8"] is not None,
        photos=len(photos.names),
        unreadable=len(photos.unreadable),
        copies=_copies(photos),
        history=trained.history,
        phases=trained.phases,
    )
    int8 = judged["int8"]
    wrong, unsure = _mistakes(int8), _unsure(int8)
    report = {
        "run": printable(run.resolve().name),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "doubts": doubts_about(evidence),
        "models": models,
        "difference": difference,
        "confusions": [
            {"label": classes[label], "called": classes[called], "photos": n}
            for label, called, n in common_confusions(models["int8"].confusion, _MOST_CONFUSIONS)
        ],
        "reliability": {model: {"before": found.before, "after": found.after} for model, found in judged.items()},
        "mistakes": [_photo(photos, int8, i) for i in wrong],
        "unsure": [_photo(photos, int8, i) for i in unsure],
        "splits": {
            name: {part: int((photos.labels[photos.parts[part]] == i).sum()) for part in photos.parts}
            for i, name in enumerate(classes)
        },
        "unreadable": photos.unreadable,
        "not_read": photos.skipped,
        "history": trained.history,
        "seconds": trained.seconds | {"phases": _seconds_of_phases(trained)},
        "hardware": hardware(),
        **msgspec.structs.asdict(trained.config),
    }
    plain = msgspec.to_builtins(report, enc_hook=lambda array: array.tolist())
    curves = png_of(draw_curves(trained.history, trained.phases))
    confusion = png_of(draw_confusion(models["int8"].confusion, classes, f"int8, {models['int8'].n} test photos"))
    plots = Plots(
        curves,
        confusion,
        precision_recall=png_of(draw_precision_recall(int8, models["int8"])),
        reliability=png_of(draw_reliability(int8)),
    )
    test = photos.parts["test"]  # indexed first: the test part may not fit into memory
    augmentation = AUGMENTATION if (run / AUGMENTATION).exists() else None
    page = render(plain, plots, Shown(photos.pixels[test[wrong]], photos.pixels[test[unsure]]), augmentation)
    for name, data in (
        (CURVES, curves),
        (CONFUSION_MATRIX, confusion),
        (REPORT, msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"),
        (REPORT_PAGE, page.encode()),
    ):
        write_whole(run / name, data)
    return int8.temperature


def _mistakes(judged: Judged) -> NDArray[np.intp]:
    """The places of the photos called wrong, the surest first."""
    wrong = np.flatnonzero(~judged.right)
    return wrong[np.argsort(-judged.probability[wrong].max(axis=1), kind="stable")][:_MOST_SHOWN]


def _unsure(judged: Judged) -> NDArray[np.intp]:
    """The places of the photos called right, the least sure first."""
    right = np.flatnonzero(judged.right)
    return right[np.argsort(judged.probability[right].max(axis=1), kind="stable")][: _MOST_SHOWN // 2]


def _photo(photos: Dataset, judged: Judged, place: int) -> dict[str, Any]:
    """A photo of the test part, by its place in it."""
    called = int(judged.called[place])
    return {
        "file": photos.names[photos.parts["test"][place]],
        "label": photos.classes[judged.labels[place]],
        "called": photos.classes[called],
        "probability": float(judged.probability[place, called]),
    }


def _copies(photos: Dataset) -> tuple[str, ...]:
    """The photos of the test part whose pixels are in another part too, by name."""

    def digest(i: np.intp) -> bytes:
        return hashlib.sha256(photos.pixels[i].tobytes()).digest()

    seen = {digest(i) for part in ("train", "val") for i in photos.parts[part]}
    return tuple(photos.names[i] for i in photos.parts["test"] if digest(i) in seen)


def _seconds_of_phases(trained: Trained) -> list[dict[str, Any]]:
    rows = [
        (phase.name, [row["seconds"] for row in trained.history if row["phase"] == number])
        for number, phase in enumerate(trained.phases)
    ]
    return [{"phase": name, "epochs": len(seconds), "seconds": sum(seconds)} for name, seconds in rows if seconds]
