"""Mixed precision in the float phases: 16 bits in the layers, float32 in the weights, on the disk and in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from linnet_train.backend import uses_xla
from linnet_train.data.dataset import Dataset
from linnet_train.models import build_model
from linnet_train.recipes.recipe import Precision, Recipe
from linnet_train.training import loop
from linnet_train.training.batch_norm import FusedBatchNormalization
from linnet_train.training.precision import for_disk, for_training, scale_losses
from program import needs_all_of_onednn

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


def tiny() -> keras.Model:
    return build_model("tiny", classes=3, size=32)


def weights_of(model: keras.Model) -> list[str]:
    return [weight.dtype for weight in model.weights]


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=needs_all_of_onednn), "float16"])
def test_layers_compute_in_the_precision_and_keep_their_weights_in_float32(precision: Precision) -> None:
    start = tiny()
    model = for_training(start, precision)
    pixels, *hidden, logits = model.layers
    assert {layer.compute_dtype for layer in hidden} == {precision}
    assert logits.compute_dtype == "float32", "what the loss reads"
    assert pixels.output.dtype == "uint8"
    assert set(weights_of(model)) == {"float32"}
    expected = np.asarray(start(PIXELS))
    np.testing.assert_allclose(np.asarray(model(PIXELS)), expected, rtol=0, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_what_goes_to_the_disk_computes_in_float32_as_before(precision: Precision) -> None:
    start = tiny()
    start.get_layer("stem").trainable = False
    model = for_disk(for_training(start, precision))
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert not any(isinstance(layer, FusedBatchNormalization) for layer in model.layers)
    assert not model.get_layer("stem").trainable
    np.testing.assert_array_equal(np.asarray(model(PIXELS)), np.asarray(start(PIXELS)))


@pytest.mark.parametrize(("precision", "scaled"), [("float32", False), ("bfloat16", False), ("float16", True)])
def test_float16_alone_scales_its_losses(precision: Precision, scaled: bool) -> None:
    optimizer = scale_losses(keras.optimizers.SGD(0.5), for_training(tiny(), precision))
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scaled
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25


class Seen(keras.callbacks.Callback):
    """Notes what a phase trains in; stops it once where it is told to."""

    def __init__(self, notes: list[tuple[bool, set[str]]], quantized: bool, *, stop: bool) -> None:
        super().__init__()
        self._notes, self._quantized, self._stop = notes, quantized, stop

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        network = self.model.get_layer("network_int8" if self._quantized else "network")
        assert not self.model.jit_compile, "this machine's backend is TensorFlow on a CPU"
        self._notes.append((self._quantized, {layer.compute_dtype for layer in network.layers[1:-1]}))
        if self._stop and epoch == 0:
            raise KeyboardInterrupt


def test_a_run_trains_in_float_with_mixed_precision_and_in_int8_with_float32(
    easy_dataset: Dataset, tmp_path: Path
) -> None:
    """And goes on after an interruption; the optimizer of float16 has a loss scale to restore."""
    settings: dict[str, Any] = {"model": "tiny", "alpha": 1.0, "size": 32, "weights": "none", "batch_size": 9}
    recipe = Recipe(data="", **settings, epochs=3, qat_epochs=1, learning_rate=0.01, precision="float16")
    notes: list[tuple[bool, set[str]]] = []
    with pytest.raises(KeyboardInterrupt):
        loop.train_network(recipe, easy_dataset, tmp_path, lambda phase, steps: Seen(notes, phase.quantized, stop=True))
    progress = loop.train_network(
        recipe, easy_dataset, tmp_path, lambda phase, steps: Seen(notes, phase.quantized, stop=False)
    )
    assert notes == [(False, {"float16"})] * 3 + [(True, {"float32"})]
    assert [row["epoch"] for row in progress.history] == [1, 2, 3, 1]
    assert progress.history[2]["val_accuracy"] >= 0.9
    for name in ("float", "qat"):
        model = keras.saving.load_model(tmp_path / f"{name}.keras", compile=False)
        assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
        assert set(weights_of(model)) == {"float32"}


@pytest.mark.parametrize("gpus", [[], ["simulated GPU"]])
def test_xla_is_for_gpus_alone(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else ["CPU"])
    assert uses_xla() == bool(gpus)
