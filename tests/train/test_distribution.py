"""A batch that devices share makes the step that one device makes of it: two simulated ones, on JAX."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from jax_process import jax_process
from linnet_train.backend import device_count, validation_batch
from linnet_train.errors import TrainingError
from networks import TINY
from once import made_once

RECIPE = (*TINY, "--batch-size", 12, "--augment", "none", "--epochs", 2, "--qat-epochs", 1)

# A batch that the devices cannot share; a run on one device; one on both that is stopped after an epoch and resumed.
SCRIPT = """
import sys, json, networks
from linnet_train.models import NETWORKS
from pathlib import Path
from linnet_runtime.cli import main
from linnet_train.training.progress import PhaseProgress
from program import ROOT

photos, folder, *recipe = sys.argv[1:]
sys.path.append(str(ROOT / "benchmarks"))
devices, on_epoch_end = {"one": [], "two": []}, PhaseProgress.on_epoch_end

def watched(self, epoch, logs=None):
    on_epoch_end(self, epoch, logs)
    seen = devices[run]
    seen.append(len(self.model.trainable_variables[0].value.sharding.device_set))
    if run == "two" and len(seen) == 1:
        raise KeyboardInterrupt

PhaseProgress.on_epoch_end = watched
refused = ["train", photos, "--out", f"{folder}/refused", *recipe, "--batch-size", "9"]
assert main(refused) == 1
run = "one"
assert main(["train", photos, "--out", f"{folder}/one", "--devices", "1", *recipe]) == 0
run = "two"
assert main(["train", photos, "--out", f"{folder}/two", *recipe]) == 130
assert main(["train", "--resume", f"{folder}/two"]) == 0
Path(folder, "devices.json").write_text(json.dumps(devices))

import train_gpu
NETWORKS["mobilenet_v2"] = NETWORKS["tiny"]
small = "--size 32 --batch-size 4 --steps 3 --rounds 1"
sys.argv[1:] = [*small.split(), "--out", f"{folder}/benchmark.json"]
train_gpu.main()
"""


@pytest.fixture(scope="module")
def runs(easy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs and devices.json, the number of devices after each epoch; not to be written to."""

    def make(folder: Path) -> None:
        # 33 photos to train on and 11 to validate with, which two devices cannot share evenly.
        photos = shutil.copytree(easy_photos, folder / "photos")
        for photo in sorted(photos.glob("blue/*"))[:5]:
            photo.unlink()
        done = jax_process(folder, SCRIPT, photos, folder, *RECIPE, devices=2)
        (folder / "stderr.txt").write_text(done.stderr)

    return made_once(tmp_path_factory, "distributed", make)


def test_every_device_has_the_weights(runs: Path) -> None:
    """All that JAX sees share a batch, unless --devices says how many."""
    assert json.loads((runs / "devices.json").read_text()) == {"one": [1] * 3, "two": [2] * 3}


def test_losses_are_those_of_one_device(runs: Path) -> None:
    """Of training and of validation, and although one of the runs was stopped and resumed."""
    one, two = (json.loads((runs / name / "history.json").read_text()) for name in ("one", "two"))
    figures = ("phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    for mine, theirs in zip(two, one, strict=True):
        assert {key: mine[key] for key in figures} == pytest.approx({key: theirs[key] for key in figures}, rel=1e-4)


@pytest.mark.parametrize("name", ["float", "qat"])
def test_weights_batch_statistics_and_ranges_are_those_of_one_device(runs: Path, name: str) -> None:
    one, two = (keras.saving.load_model(runs / run / f"{name}.keras", compile=False) for run in ("one", "two"))
    for mine, theirs in zip(two.weights, one.weights, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-3, atol=1e-4, err_msg=mine.path)


def test_a_batch_that_the_devices_cannot_share_gets_one_line(runs: Path) -> None:
    first, *_ = (runs / "stderr.txt").read_text().splitlines()
    line = "error: --batch-size: got 9, expected a multiple of 2, the devices that share a batch"
    assert first == f"{line}. Fix: --batch-size 8, or --devices 1"
    assert not (runs / "refused").exists()


def test_the_benchmark_of_gpus_says_what_it_ran_on(runs: Path) -> None:
    """With the tiny network in MobileNetV2's place; its figures mean nothing here."""
    ((title, rows),) = json.loads((runs / "benchmark.json").read_text())["tables"].items()
    assert "at 32 px, bfloat16, batches of 4, on 2 x cpu" in title
    assert [row["photos"] for row in rows] == [
        "from the memory map",
        "held in the device's memory",
        "gathered alone, no step",
    ]
    assert all(row["a second"] > 0 and row["of the held batch"] > 0 for row in rows)
    assert rows[1]["of the held batch"] == 1


def test_tensorflow_has_one_device() -> None:
    assert device_count(None, 9) == device_count(1, 9) == 1
    with pytest.raises(TrainingError, match=r"devices: got 2, expected at most the 1 available\. Fix: KERAS"):
        device_count(2, 32)


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
@pytest.mark.parametrize("photos", [1, 5, 64, 65, 127, 512])
def test_batches_of_validation_are_all_shared_or_all_whole(
    devices: int, photos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution: Callable[[], Any] = lambda: type("Simulated", (), {"num_model_replicas": devices})  # noqa: E731
    monkeypatch.setattr(keras.distribution, "distribution", distribution)
    batch = validation_batch(64, photos)
    assert 64 - 2 * devices < batch <= 64
    batches = [min(batch, photos - begin) for begin in range(0, photos, batch)]
    shared = {size % devices == 0 for size in batches}
    assert shared == {True} or batches[0] % devices
