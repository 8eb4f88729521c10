"""The page of a run and report.json beside it."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_runtime.proof.intervals import paired_difference
from linnet_runtime.run_files import Config
from linnet_train import run as run_module
from linnet_train.data.dataset import Dataset
from linnet_train.report import Trained, write_report
from linnet_train.report.calibration import fit_temperature
from networks import TINY
from program import Program
from train.made_history import PHASES, history

CLASSES = ("<script>alert(1)", "$a$", "_b", "bolt & nut")


def trained(per_class: int = 30, classes: tuple[str, ...] = CLASSES) -> Trained:
    """What a training would have left that never was: one photo in ten or so is called wrong."""
    rng = np.random.default_rng(3)
    labels = np.tile(np.arange(len(classes)), 5 * per_class)
    n = len(labels)
    train, val, test = np.split(np.arange(n), [3 * n // 5, 4 * n // 5])

    def logits(of: NDArray[np.intp]) -> NDArray[np.float32]:
        found = rng.normal(0, 1, (len(of), len(classes)))
        found[np.arange(len(of)), labels[of]] += 3
        return np.float32(3 * found)

    photos = Dataset(
        classes=classes,
        pixels=rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8),
        labels=labels,
        names=tuple(f"{classes[label]}/{i:05}.jpg" for i, label in enumerate(labels)),
        parts={"train": train, "val": val, "test": test},
        unreadable={"<b>/x.jpg": "not a <picture>"},
    )
    return Trained(
        config=Config(
            recipe={"model": "tiny", "alpha": 0.5, "size": 32, "loss": {"name": "focal"}},
            backend="tensorflow",
            versions={"linnet": "0.1.0"},
        ),
        photos=photos,
        history=history(),
        phases=PHASES,
        logits={model: {"val": logits(val), "test": logits(test)} for model in ("float", "int8")},
        seconds={"data": 1.0, "training": 100.0, "testing": 3.0},
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    run = tmp_path_factory.mktemp("runs") / "<i>run"
    run.mkdir()
    found = trained()
    write_report(run, found)
    return found, run


def report_of(run: Path) -> Any:
    return json.loads((run / "report.json").read_text())


def text_of(page: str) -> str:
    """What a reader sees."""
    parser, parts = HTMLParser(), list[str]()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(re.sub("<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(" ".join(parts).split())


def test_the_page_needs_no_other_file_and_runs_nothing(written: tuple[Trained, Path]) -> None:
    page, pictures = re.subn(r'src="data:image/(png|jpeg);base64,[^"]*"', "", (written[1] / "report.html").read_text())
    assert pictures > 10
    assert not re.search(r"https?:|//[a-z]|<link|<script|@import|url\(|src=|href=", page)


def test_html_in_the_names_of_classes_files_and_runs_is_text(written: tuple[Trained, Path]) -> None:
    page = (written[1] / "report.html").read_text()
    assert not re.search("<script|<i>|<b>/|<picture>", page)
    text = text_of(page)
    for name in (*CLASSES, "Run: <i>run", "<b>/x.jpg", "not a <picture>"):
        assert name in text


def test_the_page_says_what_the_json_says(written: tuple[Trained, Path]) -> None:
    report, text = report_of(written[1]), text_of((written[1] / "report.html").read_text())
    int8 = report["models"]["int8"]
    for model in report["models"].values():
        for key in ("top1", "top1_low", "top1_high"):
            assert f"{100 * model[key]:.1f} %" in text
        for key in ("macro_f1", "mean_average_precision", "temperature", "ece", "calibrated_ece", "cross_entropy"):
            assert f"{model[key]:.3f}" in text
    for row in int8["per_class"]:
        cells = [row["precision"], row["recall"], row["recall_low"]]
        assert " ".join([row["name"], str(row["support"])]) in text
        assert all(f"{cell:.3f}" in text for cell in cells)
    for row in (*report["mistakes"], *report["unsure"]):
        assert row["file"] in text
    for row in report["splits"].values():
        assert row == {"train": 90, "val": 30, "test": 30}
    for doubt in report["doubts"]:
        assert doubt["what"] in text
    assert report["hardware"]["processor"] in text
    assert "loss.name focal" in text


def test_the_json_is_of_the_logits(written: tuple[Trained, Path]) -> None:
    (found, run), report = written, report_of(written[1])
    labels = {part: found.photos.labels[found.photos.parts[part]] for part in ("val", "test")}
    for model, logits in found.logits.items():
        assert report["models"][model]["top1"] == (logits["test"].argmax(axis=1) == labels["test"]).mean()
        assert report["models"][model]["temperature"] == fit_temperature(logits["val"], labels["val"])
    right = {model: logits["test"].argmax(axis=1) == labels["test"] for model, logits in found.logits.items()}
    expected = paired_difference(right["int8"], right["float"])
    assert report["difference"] == vars(expected)
    assert report["history"] == found.history
    assert report["seconds"]["phases"] == [
        {"phase": "whole", "epochs": 2, "seconds": 4.0},
        {"phase": "int8, ranges moving", "epochs": 2, "seconds": 4.0},
    ]
    assert run.joinpath("confusion_matrix.png").exists()


def test_the_worst_mistakes_come_first_and_are_mistakes(written: tuple[Trained, Path]) -> None:
    (found, _), report = written, report_of(written[1])
    mistakes, unsure = report["mistakes"], report["unsure"]
    test = found.photos.parts["test"]
    called = dict(zip((found.photos.names[i] for i in test), found.logits["int8"]["test"].argmax(axis=1), strict=True))
    for row in (*mistakes, *unsure):
        assert row["label"] == row["file"].split("/")[0]
        assert row["called"] == CLASSES[called[row["file"]]]
    assert all(row["label"] != row["called"] for row in mistakes)
    assert all(row["label"] == row["called"] for row in unsure)
    assert [row["probability"] for row in mistakes] == sorted((row["probability"] for row in mistakes), reverse=True)
    assert [row["probability"] for row in unsure] == sorted(row["probability"] for row in unsure)
    wrong = report["models"]["int8"]["n"] * (1 - report["models"]["int8"]["top1"])
    assert len(mistakes) == min(round(wrong), 24)


def test_a_run_without_a_mistake_has_its_page(tmp_path: Path) -> None:
    found = trained()
    logits = {
        part: np.eye(4, dtype=np.float32)[found.photos.labels[found.photos.parts[part]]] for part in ("val", "test")
    }
    temperature = write_report(tmp_path, replace(found, logits={"float": logits, "int8": logits}))
    assert temperature == 1.0
    assert report_of(tmp_path)["mistakes"] == []
    text = text_of((tmp_path / "report.html").read_text())
    assert "There are none." in text
    assert "No temperature could be fitted" in text


def test_the_page_of_a_hundred_classes_can_still_be_mailed(tmp_path: Path) -> None:
    write_report(tmp_path, trained(2, tuple(f"class {i}" for i in range(100))))
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    matrix = cv2.imread(str(tmp_path / "confusion_matrix.png"))
    assert min(matrix.shape[:2]) > 100 * 15, "a cell can be seen, and its name read"


def test_the_report_of_many_classes_is_bounded(tmp_path: Path) -> None:
    """The matrices stand in a table without zeros; a list of files is cut, and the place of the whole is named."""
    many = trained(1, tuple(f"class {i}" for i in range(101)))
    many.photos.unreadable.update({f"{i}.jpg": "an empty file" for i in range(5000)})
    write_report(tmp_path, many)
    assert (tmp_path / "report.json").stat().st_size < 200_000
    report = report_of(tmp_path)
    assert report["models"]["int8"]["confusion"] is None
    assert len(report["unreadable"]) == 200
    assert report["left_out"] == {
        "confusion": "confusion.csv",
        "unreadable": "the first 200 of 5001; all: splits.json",
    }
    with (tmp_path / "confusion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    int8 = [row for row in rows if row["model"] == "int8"]
    assert sum(int(row["photos"]) for row in int8) == report["models"]["int8"]["n"]
    right = sum(int(row["photos"]) for row in int8 if row["true"] == row["predicted"])
    assert right / report["models"]["int8"]["n"] == pytest.approx(report["models"]["int8"]["top1"])


def test_a_photo_of_the_test_part_that_is_in_training_too_is_named(tmp_path: Path) -> None:
    found = trained()
    first, last = found.photos.parts["train"][0], found.photos.parts["test"][-1]
    found.photos.pixels[last] = found.photos.pixels[first]
    write_report(tmp_path, found)
    assert [doubt["what"] for doubt in report_of(tmp_path)["doubts"] if doubt["kind"] == "copies"] == [
        f"The pixels of 1 of 120 test photos are also in training or validation: {found.photos.names[last]}."
    ]


def test_the_report_of_a_real_run(tiny_run: Path) -> None:
    report, metrics = report_of(tiny_run), json.loads((tiny_run / "metrics.json").read_text())
    assert report["run"] == tiny_run.name
    for model, key in (("float", "float"), ("int8", "qat")):
        assert report["models"][model]["top1"] == metrics[key]["top1"]
        assert report["models"][model]["n"] == 12
    assert report["models"]["int8"]["temperature"] == metrics["temperature"]
    assert report["history"] == json.loads((tiny_run / "history.json").read_text())
    assert "few_test_photos" in {doubt["kind"] for doubt in report["doubts"]}
    assert report["recipe"] == json.loads((tiny_run / "config.json").read_text())["recipe"]
    assert report["hardware"]["cores"] >= 1
    assert report["hardware"]["memory_gb"] > 0
    assert report["hardware"]["accelerators"] == []
    text = text_of((tiny_run / "report.html").read_text())
    for name in ("blue", "green", "red", "12 test photos", "int8, ranges frozen"):
        assert name in text


def test_a_run_that_was_killed_between_training_and_its_report_is_resumed_to_it(
    easy_photos: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def kill(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_report", kill)
        program("train", easy_photos, "--out", run, *TINY, "--epochs", 2, "--qat-epochs", 0, status=130)
    assert not (run / "metrics.json").exists()
    kept = json.loads((run / "progress.json").read_text())["history"]
    last = program("train", "--resume", run).stdout.splitlines()[-1]
    assert last.endswith(str(run / "report.html"))
    assert report_of(run)["history"] == kept, "nothing was trained again"
