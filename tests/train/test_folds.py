"""Cross-validation: a run for each fold, each photo tested once, and an interval; a killed one goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from linnet_runtime.cli import main
from linnet_train.folds import interval
from networks import TINY
from once import made_once
from program import ROOT, Program, one_line_error

SHORT = ("--epochs", 1, "--qat-epochs", 0, "--folds", 3)


@pytest.fixture(scope="module")
def folds(easy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of three folds, killed in the second and resumed; not to be written to."""
    script = "import networks, sys; from linnet_runtime.cli import main; sys.exit(main(sys.argv[1:]))"

    def make(folder: Path) -> None:
        out = folder / "out"
        command = [sys.executable, "-c", script, "train", easy_photos, "--out", out, *TINY, *SHORT]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        arguments = [str(argument) for argument in command]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if line.startswith("fold-2"):
                    os.kill(running.pid, signal.SIGKILL)
                    break
        assert (out / "fold-1" / "metrics.json").exists()
        assert not (out / "folds.json").exists()
        assert main(["train", "--resume", str(out)]) == 0

    return made_once(tmp_path_factory, "folds", make) / "out"


def read(path: Path) -> dict:
    return json.loads(path.read_bytes())


def test_each_photo_is_tested_in_one_fold(folds: Path, easy_photos: Path) -> None:
    tested = [name for k in (1, 2, 3) for name in read(folds / f"fold-{k}" / "splits.json")["test"]]
    assert sorted(tested) == sorted(path.relative_to(easy_photos).as_posix() for path in easy_photos.glob("*/*.jpg"))


def test_the_report_is_of_the_runs(folds: Path) -> None:
    report = read(folds / "folds.json")
    assert report["folds"] == ["fold-1", "fold-2", "fold-3"]
    assert sum(report["test_photos"]) == 60
    runs = [read(folds / name / "metrics.json") for name in report["folds"]]
    for model in ("float", "qat"):
        tops = [run[model]["top1"] for run in runs]
        assert report[model]["top1"] == tops
        low, high = stats.t.interval(0.95, 2, np.mean(tops), stats.sem(tops)) if np.ptp(tops) else (tops[0], tops[0])
        expected = {"mean": np.mean(tops), "low": max(low, 0), "high": min(high, 1)}
        assert {key: report[model][key] for key in expected} == pytest.approx(expected)
    differences = [run["qat"]["top1"] - run["float"]["top1"] for run in runs]
    assert report["qat_minus_float"] == pytest.approx(interval(differences))


def test_an_interval_is_student_s_t() -> None:
    values = [0.81, 0.84, 0.79, 0.9, 0.85]
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert interval(values) == pytest.approx({"mean": np.mean(values), "low": low, "high": high})


def test_folds_that_are_done_are_not_trained_again(folds: Path, tmp_path: Path, program: Program) -> None:
    """--resume trains the one that a kill left empty, and prints the table."""
    out = shutil.copytree(folds, tmp_path / "out")
    shutil.rmtree(out / "fold-3")
    (out / "fold-3").mkdir()  # the kill came before its recipe was written
    (out / "folds.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("fold-[12]/*")}
    done = program("train", "--resume", out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("fold-[12]/*")} == before
    assert read(out / "folds.json")["test_photos"] == read(folds / "folds.json")["test_photos"]
    rows = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["fold-3"][1] == "20"
    assert rows["mean"][1] == "60"
    assert float(rows["mean"][2]) == pytest.approx(read(out / "folds.json")["float"]["mean"], abs=1e-4)
    assert "95 % t-interval over the folds" in rows


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--folds", 21), "got 20 photos that can be read, expected at least 21, one for each fold"),
        (("--folds", 5, "--set", "split.group_pattern=(blue|green|red)"), "got 3 groups, expected at least 5"),
        (("--folds", 3, "--set", "split.group_pattern=(blue|green|red)"), "got 1 group of the class blue"),
        (("--folds", 3, "--set", "split.group_column=id"), "got no table, expected a CSV file with the column id"),
    ],
)
def test_data_that_is_too_small_gets_one_line_and_leaves_nothing(
    options: tuple[object, ...], says: str, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    done = program("train", easy_photos, "--out", tmp_path / "out", *TINY, *options, status=1)
    done.stderr = done.stderr.removeprefix(f"fold-1 of {options[1]}\n")  # progress
    assert says in one_line_error(done)
    assert not list(tmp_path.iterdir())


def test_folds_beside_resume_are_a_usage_error(program: Program) -> None:
    error = one_line_error(program("train", "--resume", "out", "--folds", 3, status=2))
    assert error.startswith("linnet train: got --resume with other arguments")
