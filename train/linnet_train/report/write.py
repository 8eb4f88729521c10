"""Writes the report of a run."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
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
from linnet_runtime.files.folders import write_whole
from linnet_runtime.pages import png_of
from linnet_runtime.proof.intervals import PairedDifference, paired_difference
from linnet_runtime.run_files import (
    AUGMENTATION,
    CONFUSION_MATRIX,
    CONFUSION_TABLE,
    CURVES,
    REPORT,
    REPORT_PAGE,
    SPLITS,
    Config,
)
from linnet_train.data.dataset import Dataset
from linnet_train.report.calibration import fit_temperature
from linnet_train.report.doubts import Evidence, doubts_about
from linnet_train.report.hardware import hardware
from linnet_train.report.metrics import Judged, ModelFigures, common_confusions, model_figures
from linnet_train.report.page import Plots, Shown, render
from linnet_train.report.plots import draw_confusion, draw_curves, draw_precision_recall, draw_reliability
from linnet_train.training.phases import Phase

_MOST_SHOWN = 24  # photos
_MOST_CONFUSIONS = 15
_MOST_CLASSES = 100  # for confusion matrices in report.json: those of 1,000 classes would take 27 MB
_MOST_FILES = 200  # in a list of files


@dataclass(frozen=True)
class Trained:
    """The results of a training, from which the report is made."""

    config: Config
    """The recipe and the versions."""
    photos: Dataset
    """The photos and their split."""
    history: list[dict[str, Any]]
    """A row for each epoch."""
    phases: Sequence[Phase]
    """The phases to which the numbers in ``history`` refer."""
    logits: dict[str, dict[str, Logits]]
    """float32 [N, classes], by model ("float", "int8") and part ("val", "test")."""
    seconds: dict[str, float]
    """The seconds of reading, training and testing."""


def write_report(run: Path, trained: Trained) -> float:
    """Writes report.json, report.html, curves.png and confusion_matrix.png into the run's directory.

    With more than 100 classes, the confusion matrices are in a separate file, confusion.csv.

    Returns the temperature of the int8 model.
    """
    photos, classes = trained.photos, trained.photos.classes
    judged, fitted = _judge(trained)
    models = {model: model_figures(found, classes) for model, found in judged.items()}
    int8 = judged["int8"]
    wrong, unsure = _mistakes(int8), _unsure(int8)
    report = _report(run, trained, judged, models, fitted=fitted)
    plots = _draw(trained, int8, models["int8"])
    test = photos.parts["test"]  # indexed first: the test part may not fit into memory
    augmentation = AUGMENTATION if (run / AUGMENTATION).exists() else None
    page = render(report, plots, Shown(photos.pixels[test[wrong]], photos.pixels[test[unsure]]), augmentation)
    if "confusion" in report["left_out"]:
        write_whole(run / CONFUSION_TABLE, _confusion_table(models, classes).encode())
    for name, data in (
        (CURVES, plots.curves),
        (CONFUSION_MATRIX, plots.confusion),
        (REPORT, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"),
        (REPORT_PAGE, page.encode()),
    ):
        write_whole(run / name, data)
    return int8.temperature


def _judge(trained: Trained) -> tuple[dict[str, Judged], bool]:
    """Each model on the test part, with its temperature of the validation part; and whether int8's could be fitted."""
    labels = {part: trained.photos.labels[trained.photos.parts[part]] for part in ("val", "test")}
    fitted = {model: fit_temperature(logits["val"], labels["val"]) for model, logits in trained.logits.items()}
    judged = {
        model: Judged(logits["test"], labels["test"], fitted[model] or 1.0) for model, logits in trained.logits.items()
    }
    return judged, fitted["int8"] is not None


def _report(
    run: Path, trained: Trained, judged: dict[str, Judged], models: dict[str, ModelFigures], *, fitted: bool
) -> dict[str, Any]:
    """The content of report.json, as plain values."""
    photos, classes, int8 = trained.photos, trained.photos.classes, judged["int8"]
    difference = paired_difference(int8.right, judged["float"].right)
    evidence = _evidence(trained, models["int8"], difference, fitted=fitted)
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
        "mistakes": [_photo(photos, int8, i) for i in _mistakes(int8)],
        "unsure": [_photo(photos, int8, i) for i in _unsure(int8)],
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
    return _bounded(msgspec.to_builtins(report, enc_hook=lambda array: array.tolist()))


def _bounded(report: dict[str, Any]) -> dict[str, Any]:
    """The report without large confusion matrices and long lists of files; ``left_out`` says where they are."""
    left_out = {}
    for files, where in (("unreadable", SPLITS), ("not_read", "linnet data check DATA --json")):
        if len(report[files]) > _MOST_FILES:
            left_out[files] = f"the first {_MOST_FILES} of {len(report[files])}; all: {where}"
            report[files] = dict(itertools.islice(report[files].items(), _MOST_FILES))
    if len(report["splits"]) > _MOST_CLASSES:
        left_out["confusion"] = CONFUSION_TABLE
        for figures in report["models"].values():
            figures["confusion"] = None
    return report | {"left_out": left_out}


def _confusion_table(models: dict[str, ModelFigures], classes: tuple[str, ...]) -> str:
    """The confusion matrices as a CSV file, without zeros."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["model", "true", "predicted", "photos"])
    for model, figures in models.items():
        for label, called in np.argwhere(figures.confusion):
            writer.writerow([model, classes[label], classes[called], figures.confusion[label, called]])
    return table.getvalue()


def _evidence(trained: Trained, int8: ModelFigures, difference: PairedDifference, *, fitted: bool) -> Evidence:
    photos = trained.photos
    labels = photos.labels[photos.parts["val"]]
    return Evidence(
        int8=int8,
        difference=difference,
        validation_right=int((trained.logits["int8"]["val"].argmax(axis=1) == labels).sum()),
        validation_photos=len(labels),
        fitted=fitted,
        photos=len(photos.names),
        unreadable=len(photos.unreadable),
        copies=_copies(photos),
        history=trained.history,
        phases=trained.phases,
    )


def _draw(trained: Trained, int8: Judged, figures: ModelFigures) -> Plots:
    title = f"int8, {figures.n} test photos"
    return Plots(
        curves=png_of(draw_curves(trained.history, trained.phases)),
        confusion=png_of(draw_confusion(figures.confusion, trained.photos.classes, title)),
        precision_recall=png_of(draw_precision_recall(int8, figures)),
        reliability=png_of(draw_reliability(int8)),
    )


def _mistakes(judged: Judged) -> NDArray[np.intp]:
    """The positions of the wrongly classified photos, the most confident first."""
    wrong = np.flatnonzero(~judged.right)
    return wrong[np.argsort(-judged.probability[wrong].max(axis=1), kind="stable")][:_MOST_SHOWN]


def _unsure(judged: Judged) -> NDArray[np.intp]:
    """The positions of the correctly classified photos, the least confident first."""
    right = np.flatnonzero(judged.right)
    return right[np.argsort(judged.probability[right].max(axis=1), kind="stable")][: _MOST_SHOWN // 2]


def _photo(photos: Dataset, judged: Judged, place: int) -> dict[str, Any]:
    """A photo of the test part, by its position."""
    called = int(judged.called[place])
    return {
        "file": photos.names[photos.parts["test"][place]],
        "label": photos.classes[judged.labels[place]],
        "called": photos.classes[called],
        "probability": float(judged.probability[place, called]),
    }


def _copies(photos: Dataset) -> tuple[str, ...]:
    """The names of the test photos whose pixels are also in another part."""

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
