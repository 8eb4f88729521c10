"""L2, stochastic depth, averages of weights and early stopping do what their papers say, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from linnet_train.augment.settings import Augmentation
from linnet_train.data.dataset import Dataset
from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize
from linnet_train.recipes.recipe import Recipe, Regularization
from linnet_train.recipes.schedules import Constant
from linnet_train.training.checkpoint import load_progress
from linnet_train.training.loop import train_network
from linnet_train.training.phases import Phase, phases_of
from linnet_train.training.stochastic_depth import with_stochastic_depth
from linnet_train.training.trainer import Trainer, build_trainer

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
PLAIN: dict[str, Any] = {
    **{"data": "", "model": "tiny", "size": 32, "weights": "none", "batch_size": 9, "qat_epochs": 0},
    **{"augment": Augmentation(view="none"), "schedule": Constant()},
}


def recipe_with(learning_rate: float = 0.01, epochs: int = 4, **regularization: Any) -> Recipe:
    settings = Regularization(**{"dropout": 0.0, **regularization})
    return Recipe(**PLAIN, learning_rate=learning_rate, epochs=epochs, regularization=settings)


def trainer_of(recipe: Recipe, easy_dataset: Dataset) -> tuple[keras.Model, Trainer]:
    network = build_model("tiny", classes=3, size=32)
    return network, build_trainer(recipe, phases_of(recipe)[-1], network, None, easy_dataset)


def test_l2_adds_the_squares_of_the_kernels_and_stays_off_the_disk(easy_dataset: Dataset, tmp_path: Path) -> None:
    network, trainer = trainer_of(recipe_with(l2=0.01), easy_dataset)
    kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
    assert len(kernels) == 4
    expected = 0.01 * sum(float((np.asarray(kernel) ** 2).sum()) for kernel in kernels)
    assert float(sum(trainer.model.losses)) == pytest.approx(expected, rel=1e-5)
    network.save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").losses


@pytest.mark.parametrize(
    ("name", "branches"),
    [("efficientnet_lite0", 9), ("mobilenet_v4_conv_small", 10), ("mobilenet_v2", 10), ("tiny", 1)],
)
def test_stochastic_depth_drops_later_branches_more_often(name: str, branches: int) -> None:
    model = build_model(name, classes=3, size=64)
    deep = with_stochastic_depth(model, 0.4)
    drops = [layer for layer in deep.layers if layer.name.endswith("_depth")]
    np.testing.assert_allclose([drop.rate for drop in drops], 0.4 * np.arange(1, branches + 1) / branches)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(np.asarray(deep(pixels)), np.asarray(model(pixels)), rtol=1e-5, atol=1e-6)


def test_stochastic_depth_leaves_out_a_whole_branch_of_some_photos() -> None:
    deep = with_stochastic_depth(build_model("tiny", classes=3, size=32), 0.5)
    add = deep.get_layer("add")
    parts = keras.Model(deep.input, [*add.input, add.output])
    identity, branch, total = (np.asarray(part) for part in parts(np.repeat(PIXELS, 16, axis=0), training=True))
    kept = np.abs(branch).max(axis=(1, 2, 3)) > 0
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_array_equal(total[~kept], identity[~kept])
    np.testing.assert_allclose(total, identity + branch, rtol=1e-5, atol=1e-6)


def test_stochastic_depth_changes_nothing_in_int8() -> None:
    model = build_model("tiny", classes=3, size=32)
    plain, deep = quantize(model), quantize(with_stochastic_depth(model, 0.5))
    for quantized in (plain, deep):
        calibrate(quantized, PIXELS)
    np.testing.assert_allclose(np.asarray(deep(PIXELS)), np.asarray(plain(PIXELS)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v1"])
def test_a_network_without_branches_has_no_stochastic_depth(name: str) -> None:
    with pytest.raises(TrainingError, match=r"stochastic_depth: got 0\.2, expected 0 for a network without residual"):
        with_stochastic_depth(build_model(name, classes=3, size=64), 0.2)


def test_the_average_is_that_of_all_steps_and_of_the_batch_statistics_too(easy_dataset: Dataset) -> None:
    """In the graph it follows each step; here it is done by hand."""
    network, trainer = trainer_of(recipe_with(ema=0.9), easy_dataset)
    labels = np.arange(8) % 3
    expected = [weight.copy() for weight in network.get_weights()]
    for step in range(1, 21):
        before = network.get_weights()  # the step averages, then moves; its statistics move first
        trainer.model.train_on_batch(PIXELS, labels)
        statistics = [weight.path.split("/")[-1].startswith("moving") for weight in network.weights]
        seen = [
            now if late else then for now, then, late in zip(network.get_weights(), before, statistics, strict=True)
        ]
        momentum = min(0.9, step / (step + 10))
        expected = [momentum * one + (1 - momentum) * other for one, other in zip(expected, seen, strict=True)]
    raw = network.get_weights()
    trainer.conclude()
    for mine, theirs in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert not all(np.allclose(mine, now, rtol=1e-3) for mine, now in zip(network.get_weights(), raw, strict=True))


class Record(keras.callbacks.Callback):
    """What a phase's epochs gave."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epochs.append(dict(logs or {}))


def judged(run: Path, easy_dataset: Dataset) -> float:
    """The validation loss of a run's float model, with the recipe's label smoothing."""
    model = keras.saving.load_model(run / "float.keras", compile=False)
    val = easy_dataset.parts["val"]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return float(loss(np.eye(3)[easy_dataset.labels[val]], model(easy_dataset.pixels[val], training=False)))


def test_the_average_is_what_is_judged_and_kept(easy_dataset: Dataset, tmp_path: Path) -> None:
    record = Record()
    train_network(recipe_with(ema=0.9), easy_dataset, tmp_path, lambda phase, steps: record)
    assert judged(tmp_path, easy_dataset) == pytest.approx(record.epochs[-1]["val_loss"], rel=1e-4)


@pytest.mark.parametrize("ema", [None, 0.5], ids=["weights", "average"])
def test_early_stopping_ends_the_phase_and_keeps_the_best_epoch(
    ema: float | None, easy_dataset: Dataset, tmp_path: Path
) -> None:
    """At a rate that is far too high the loss goes up sooner or later."""
    recipe = recipe_with(learning_rate=0.3, epochs=30, early_stopping=2, ema=ema)
    progress = train_network(recipe, easy_dataset, tmp_path, lambda phase, steps: keras.callbacks.Callback())
    losses = [float(row["val_loss"]) for row in progress.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 2 < 30
    assert judged(tmp_path, easy_dataset) == pytest.approx(losses[best], rel=1e-3)


def test_a_phase_that_runs_to_its_end_keeps_the_best_epoch_too(easy_dataset: Dataset, tmp_path: Path) -> None:
    recipe = recipe_with(learning_rate=0.3, epochs=4, early_stopping=30)
    progress = train_network(recipe, easy_dataset, tmp_path, lambda phase, steps: keras.callbacks.Callback())
    losses = [float(row["val_loss"]) for row in progress.history]
    assert len(losses) == 4
    assert judged(tmp_path, easy_dataset) == pytest.approx(min(losses), rel=1e-3)


def test_a_phase_that_stopped_early_is_over_for_a_resumed_run_too(easy_dataset: Dataset, tmp_path: Path) -> None:
    """Ctrl-C comes when the next phase begins, before that has a checkpoint."""
    recipe = msgspec.structs.replace(recipe_with(learning_rate=0.3, epochs=30, early_stopping=1), qat_epochs=1)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_network(recipe, easy_dataset, tmp_path, lambda phase, steps: StopIn(phase))
        progress = load_progress(tmp_path)
        losses = progress.losses(len(progress.history))
        assert progress.ended
        assert progress.epochs == len(losses) == int(np.argmin(losses)) + 2 < 30
        assert judged(tmp_path, easy_dataset) == pytest.approx(min(losses), rel=1e-3)
        (tmp_path / "float.keras").unlink()


class StopIn(keras.callbacks.Callback):
    """Ctrl-C at the beginning of a phase with quantization."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self._phase = phase

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._phase.quantized:
            raise KeyboardInterrupt


def test_only_the_last_phase_in_float_stops_early() -> None:
    recipe = Recipe(data="", weights="imagenet", regularization=Regularization(early_stopping=3))
    phases: list[Phase] = phases_of(recipe)
    assert [(phase.name, phase.patience) for phase in phases] == [
        *(("head", None), ("whole", 3)),
        *(("int8, ranges moving", None), ("int8, ranges frozen", None)),
    ]
