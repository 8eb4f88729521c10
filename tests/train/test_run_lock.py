"""One process at a time writes to a run, and the older run that it replaces is kept until it has begun."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from linnet_runtime.files.owned_directory import remove_abandoned
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Recipe
from linnet_train.run import new_run
from linnet_train.run_lock import locked
from networks import TINY
from program import Program, one_line_error
from train.interrupted_runs import interrupted


def test_the_older_run_that_a_killed_process_was_replacing_is_removed_by_the_next(
    tiny_run: Path, tmp_path: Path
) -> None:
    """It stayed beside the new one for ever."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    code = (
        "import os, pathlib, sys\n"
        "from linnet_train.recipes.recipe import Recipe\n"
        "from linnet_train.run import new_run\n"
        "with new_run(Recipe(data='photos'), pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    assert done.returncode == -signal.SIGKILL
    (aside,) = (path for path in tmp_path.iterdir() if path != run)
    assert (aside / "run" / "metrics.json").exists()
    assert not (run / "metrics.json").exists()
    with locked(run):
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_older_run_is_kept_while_the_process_that_replaces_it_lives(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    beside = []

    def fail_to_train() -> None:
        with new_run(Recipe(data="photos"), run):
            remove_abandoned(tmp_path, ".run.")
            beside.extend(tmp_path.glob(".run.*/run/metrics.json"))
            raise TrainingError("photos", got="none")

    with pytest.raises(TrainingError, match="photos: got none"):
        fail_to_train()
    assert len(beside) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (run / "metrics.json").exists(), "it is back"


class TestLock:
    @staticmethod
    def hold(run: Path) -> BinaryIO:
        """The lock that a training process holds, taken here."""
        file = (run / ".lock").open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def test_a_run_that_is_still_being_written_is_not_resumed(
        self, tiny_run: Path, tmp_path: Path, program: Program
    ) -> None:
        run = interrupted(tiny_run, tmp_path / "run", begun=True)
        with self.hold(run):
            error = one_line_error(program("train", "--resume", run, status=1))
        assert error.startswith(f"{run}: got a run to which another linnet train is writing, expected a run to which")
        assert {path.name for path in run.iterdir()} >= {"config.json", "splits.json", "progress.json"}

    def test_it_is_not_overwritten_either(
        self, tiny_run: Path, easy_photos: Path, tmp_path: Path, program: Program
    ) -> None:
        run = interrupted(tiny_run, tmp_path / "run", begun=True)
        with self.hold(run):
            error = one_line_error(program("train", easy_photos, "--out", run, "--overwrite", *TINY, status=1))
        assert "to which another linnet train is writing" in error
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
        assert (run / "progress.json").exists()

    def test_a_killed_process_leaves_no_lock(self, tmp_path: Path) -> None:
        code = "import os, sys, pathlib; from linnet_train.run_lock import locked\n"
        code += "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert done.returncode == -9
        with locked(tmp_path), pytest.raises(TrainingError, match="another linnet train"), locked(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == [], "the file of the lock goes with it"

    def test_the_lock_of_a_run_is_held_while_it_trains(self, easy_photos: Path, tmp_path: Path) -> None:
        recipe = Recipe(data=str(easy_photos), model="tiny", alpha=1.0, size=32, weights="none")
        refused = pytest.raises(TrainingError, match="another linnet train")
        with new_run(recipe, tmp_path / "run"), refused, locked(tmp_path / "run"):
            pass
