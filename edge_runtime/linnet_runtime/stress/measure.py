"""Accuracy under corruptions: each model of a bundle on the same corrupted photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Pixels
from linnet_runtime.photos.listing import Photos
from linnet_runtime.proof.comparison import Share
from linnet_runtime.proof.intervals import PairedDifference, paired_difference
from linnet_runtime.stress.corruptions import CORRUPTIONS, SEVERITIES, Corruption, corrupt

Run = Callable[[Pixels], Logits]
"""uint8 RGB [N, H, W, 3] to float32 logits [N, classes]."""
_Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """The models on photos under one corruption at one severity."""

    severity: int
    """1 to 5."""
    strength: float
    """The corruption's strength, in the unit of ``Corruption.what``."""
    accuracy: dict[str, Share]
    """Top-1 by the model: ``"int8"``, ``"float"``."""
    change: dict[str, PairedDifference]
    """The paired difference of the accuracies by the model: with the corruption minus without it."""


@dataclass(frozen=True)
class Row:
    """A corruption at all severities."""

    name: str
    what: str
    """See ``Corruption.what``."""
    advice: str
    """See ``Corruption.advice``."""
    cells: tuple[Cell, ...]
    mean: dict[str, float]
    """The mean accuracy over the severities, by the model."""


@dataclass(frozen=True)
class Breaking:
    """The first corruption to matter, and an augmentation against it."""

    name: str
    severity: int
    """The lowest severity at which accuracy is significantly lower: the 95 % interval of the paired difference is below
    0."""
    change: PairedDifference
    advice: str
    """See ``Corruption.advice``."""


@dataclass(frozen=True)
class Stress:
    """The accuracy of a bundle's models under corruptions."""

    n: int
    """The number of photos."""
    models: tuple[str, ...]
    """The names of the models; ``first`` is about the first of them."""
    clean: dict[str, Share]
    """Top-1 on the photos without corruption, by the model."""
    corruptions: tuple[Row, ...]
    mean: dict[str, float]
    """The mean accuracy over all corruptions and severities, by the model."""
    first: Breaking | None
    """For the first model; None if no corruption lowers its accuracy significantly."""


def measure_stress(
    models: Mapping[str, Run], photos: Photos, *, seed: int, on_corruption: Callable[[str], object] = lambda _: None
) -> Stress:
    """Runs each model on the photos under every corruption.

    Args:
        models: by their names; the first corruption to matter is that of the first model.
        photos: labelled, at the models' size.
        seed: of the corruptions' random numbers.
        on_corruption: is called with the name of each corruption that is done.
    """
    clean = {name: run(photos.pixels).argmax(axis=1) == photos.labels for name, run in models.items()}
    rows = []
    for corruption in CORRUPTIONS:
        rows.append(_measure_row(models, photos, corruption, clean, seed))
        on_corruption(corruption.name)
    names = tuple(models)
    return Stress(
        n=len(photos),
        models=names,
        clean={name: Share.of(right) for name, right in clean.items()},
        corruptions=tuple(rows),
        mean={name: float(np.mean([row.mean[name] for row in rows])) for name in names},
        first=_first_to_matter(rows, names[0]),
    )


def _measure_row(
    models: Mapping[str, Run], photos: Photos, corruption: Corruption, clean: dict[str, _Right], seed: int
) -> Row:
    cells = []
    for severity, strength in zip(SEVERITIES, corruption.strengths, strict=True):
        pixels = corrupt(photos.pixels, corruption, severity, seed)
        right = {name: run(pixels).argmax(axis=1) == photos.labels for name, run in models.items()}
        cells.append(
            Cell(
                severity,
                float(strength),
                {name: Share.of(found) for name, found in right.items()},
                {name: paired_difference(found, clean[name]) for name, found in right.items()},
            )
        )
    mean = {name: float(np.mean([cell.accuracy[name].value for cell in cells])) for name in models}
    return Row(corruption.name, corruption.what, corruption.advice, tuple(cells), mean)


def _first_to_matter(rows: list[Row], model: str) -> Breaking | None:
    """The corruption that lowers accuracy at the lowest severity; among several, the one that lowers it most."""
    certain = [(row, cell) for row in rows for cell in row.cells if cell.change[model].high < 0]
    if not certain:
        return None
    row, cell = min(certain, key=lambda found: (found[1].severity, found[1].change[model].difference))
    return Breaking(row.name, cell.severity, cell.change[model], row.advice)
