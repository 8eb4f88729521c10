"""An interrupted run goes on from where it was and becomes what it would have been."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from linnet_train.augment.settings import Augmentation
from linnet_train.data.dataset import Dataset
from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from linnet_train.recipes.recipe import Gradual, Recipe, Regularization
from linnet_train.recipes.schedules import Plateau
from linnet_train.training import callbacks, checkpoint
from linnet_train.training.loop import train_network
from networks import SCHEDULE, TINY
from program import ROOT, Program, one_line_error
from train.interrupted_runs import interrupted

# Everything that has a state of its own, but for the order of additions.
SETTINGS: dict[str, Any] = {
    **{"model": "tiny", "size": 32, "batch_size": 9, "head_epochs": 1, "epochs": 4, "qat_epochs": 3},
    **{"learning_rate": 0.01, "schedule": Plateau(patience=1, factor=0.5)},
    "augment": Augmentation(view="upright", erase=0.5, mixup=1.0),
    "regularization": Regularization(dropout=0.2, early_stopping=3, ema=0.9),
    "transfer": Gradual(stages=2),
}
# (phase, epoch): the head, half of the blocks, the whole network, and int8 with ranges that move, then frozen.
ROWS = [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1)]


class StopAt(keras.callbacks.Callback):
    """Ctrl-C at the end of an epoch; -1 lets training end by itself."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._stop_at = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch + 1 == self._stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gradual unfreezing needs."""
    path = tmp_path_factory.mktemp("weights") / "tiny.keras"
    keras.utils.set_random_seed(1)
    build_model("tiny", classes=3, size=32).save(path)
    return path


def train(run: Path, photos: Dataset, weights: Path, stop: tuple[str, int] = ("", 0)) -> list[dict[str, Any]]:
    run.mkdir(exist_ok=True)
    recipe = Recipe(data="", weights=str(weights), **SETTINGS)
    name, epoch = stop
    return train_network(recipe, photos, run, lambda phase, steps: StopAt(epoch if phase.name == name else -1)).history


def test_a_run_that_was_interrupted_becomes_what_it_would_have_been(
    easy_dataset: Dataset, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_SAVING_SHARE", 1.0)  # these epochs are short
    run, other = tmp_path / "run", tmp_path / "straight"
    for stop in (("last 1/2", 1), ("whole", 2), ("int8, ranges moving", 1)):  # within phases and between two
        with pytest.raises(KeyboardInterrupt):
            train(run, easy_dataset, weights, stop)
        assert not (run / "qat.keras").exists()
        assert len(list(run.glob("checkpoint-*"))) == 1, "older checkpoints go"
    history, expected = train(run, easy_dataset, weights), train(other, easy_dataset, weights)
    assert [(row["phase"], row["epoch"]) for row in history] == ROWS
    for mine, theirs in zip(history, expected, strict=True):
        assert mine | {"seconds": 0} == pytest.approx(theirs | {"seconds": 0}, rel=1e-4)
    for file in ("float.keras", "qat.keras"):
        models = (keras.saving.load_model(path / file, compile=False) for path in (run, other))
        for mine, theirs in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


# The program with the tiny network in its registry, in a process that a signal can be sent to.
PROGRAM = "import sys, networks\nfrom linnet_runtime.cli import main\nsys.exit(main())"


def start(*arguments: object) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )


def test_ctrl_c_says_how_to_go_on(easy_photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with start("train", easy_photos, "--out", run, *TINY, "--epochs", 40) as training:
        assert training.stderr is not None
        line = next(line for line in training.stderr if line.startswith("whole: epoch 1/40"))
        training.send_signal(signal.SIGINT)
        *_, last = [line, *training.stderr]
    assert last.strip() == f"error: stopped by ctrl-C. To continue: linnet train --resume {run}"
    assert training.returncode == 130
    assert (run / "progress.json").exists()
    assert not (run / "metrics.json").exists()


def test_a_killed_run_goes_on_and_ends_as_it_would_have(
    easy_photos: Path, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = tmp_path / "run"
    with start("train", easy_photos, "--out", run, *TINY, *SCHEDULE) as training:
        assert training.stderr is not None
        next(line for line in training.stderr if line.startswith("whole: epoch 2/4"))
        training.kill()
    assert training.returncode == -signal.SIGKILL
    progress = checkpoint.load_progress(run)
    assert progress.epochs >= 1
    done = program("train", "--resume", run)
    repeated = [f"whole: epoch {epoch}/4" for epoch in range(1, progress.epochs + 1)]
    assert not any(line.startswith(tuple(repeated)) for line in done.stderr.splitlines()), "it goes on from there"
    for file in ("history.json", "metrics.json"):
        mine, theirs = (json.loads((path / file).read_text()) for path in (run, tiny_run))
        assert without_times(mine) == pytest.approx(without_times(theirs), rel=1e-2, abs=1e-3), file
    assert {path.name for path in run.iterdir()} == {path.name for path in tiny_run.iterdir()}


def test_a_full_disk_leaves_the_checkpoint_before_whole(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    run = tmp_path / "run"
    with start("train", easy_photos, "--out", run, *TINY, "--epochs", 40, "--qat-epochs", 0) as training:
        assert training.stderr is not None
        next(line for line in training.stderr if line.startswith("whole: epoch 1/40"))
        resource.prlimit(training.pid, resource.RLIMIT_FSIZE, (4096, 4096))  # as a disk with that much room
        *_, last = training.stderr
    assert training.returncode == 1
    assert re.fullmatch(
        rf"error: {run}/checkpoint-0-\d+\.npz: got File too large, expected a file that can be written\."
        rf" Fix: make room, then linnet train --resume {run}\n",
        last,
    )
    assert not [path for path in run.iterdir() if path.name.startswith(("partial-", "."))]
    progress = checkpoint.load_progress(run)
    assert [path.name for path in run.glob("checkpoint-*")] == [progress.weights]
    assert 1 <= progress.epochs < 40
    change_recipe(run, epochs=progress.epochs + 1)
    program("train", "--resume", run)
    assert len(json.loads((run / "history.json").read_text())) == progress.epochs + 1


def without_times(figures: Any) -> dict[str, float]:
    """The numbers of a JSON file by their path, but for the seconds."""
    found: dict[str, float] = {}

    def visit(path: str, value: Any) -> None:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in inner:
            if key != "seconds":
                visit(f"{path}.{key}", item)
        if isinstance(value, int | float):
            found[path] = float(value)

    visit("", figures)
    return found


def change_recipe(run: Path, **changes: object) -> None:
    config = json.loads((run / "config.json").read_text())
    config["recipe"] |= changes
    (run / "config.json").write_text(json.dumps(config))


def test_a_run_that_had_read_nothing_yet_can_be_resumed(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    run = interrupted(tiny_run, tmp_path / "run", begun=False)
    change_recipe(run, epochs=1, qat_epochs=0)
    program("train", "--resume", run)
    assert {path.name for path in run.iterdir()} == {path.name for path in tiny_run.iterdir()}
    assert (run / "splits.json").read_bytes() == (tiny_run / "splits.json").read_bytes()


def test_other_photos_than_the_run_began_with_are_refused(
    tiny_run: Path, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    """Another division would test on photos that were trained on."""
    run = interrupted(tiny_run, tmp_path / "run", begun=True)
    data = shutil.copytree(easy_photos, tmp_path / "data")
    (data / "red" / "00.jpg").rename(data / "red" / "another.jpg")
    change_recipe(run, data=str(data))
    error = one_line_error(program("train", "--resume", run, status=1))
    assert error.startswith(f"{run / 'splits.json'}: got other photos in the folder now")


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: b""], ids=["cut short", "empty"])
def test_a_damaged_checkpoint_gets_one_line(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(optimizer="adam")
    progress = checkpoint.Progress(epochs=1)
    checkpoint.save_checkpoint(tmp_path, progress, model)
    path = tmp_path / str(progress.weights)
    checkpoint.load_checkpoint(path, model)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    other.compile(optimizer="adam")
    with pytest.raises(
        TrainingError,
        match=r"checkpoint-0-1\.npz: got 4 weights of other shapes, expected 4 weights that fit the recipe",
    ):
        checkpoint.load_checkpoint(path, other)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TrainingError, match=r"checkpoint-0-1\.npz: got .*, expected 4 weights that fit the recipe"):
        checkpoint.load_checkpoint(path, model)


def test_a_run_that_is_done_gets_one_line(tiny_run: Path, program: Program) -> None:
    error = one_line_error(program("train", "--resume", tiny_run, status=1))
    expected = "got a run that is done, expected an interrupted run"
    assert error == f"{tiny_run}: {expected}. Fix: linnet convert {tiny_run} --out {tiny_run.name}.linnet"


def test_something_that_is_no_run_gets_one_line(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    for place in (tmp_path / "nowhere", easy_photos):
        error = one_line_error(program("train", "--resume", place, status=1))
        assert "config.json: got" in error
        assert "expected the config.json of a run" in error


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"recipe": {"data": "x", "colour": 1}}'),
        ("progress.json", b'{"phase": "second"}'),
    ],
)
def test_a_damaged_run_gets_one_line(
    file: str, content: bytes, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = interrupted(tiny_run, tmp_path / "run", begun=True)
    (run / file).write_bytes(content)
    error = one_line_error(program("train", "--resume", run, status=1))
    assert error.startswith(f"{run / file}: got ")
