"""Layer by layer: a sound .tflite is Keras's in every tensor, and a spoilt one is found where it is spoilt."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from linnet_convert.proof.layerwise import compare_layers, first_to_leave
from linnet_convert.readers.tflite_graph import Graph, Operator, read_graph
from linnet_convert.writers.tflite import to_tflite
from linnet_devices.api import Pixels
from linnet_train.models import build_model
from linnet_train.quantization import FakeQuantize, calibrate, quantize
from networks import random_weights

# In the order in which they are computed: the layer that rounds, and TensorFlow Lite's operator.
STORED = [
    ("pixels_range", "QUANTIZE"),
    ("stem_relu", "CONV_2D"),
    ("depthwise_relu", "DEPTHWISE_CONV_2D"),
    ("project_bn_range", "CONV_2D"),
    ("add_range", "ADD"),
]


@dataclass(frozen=True)
class Converted:
    model: keras.Model
    tflite: Path
    graph: Graph
    pixels: Pixels

    def operator(self, layer: str) -> Operator:
        """The operator that stores the layer's tensor."""
        (name,) = (name for stored, name in STORED if stored == layer)
        of_kind = [operator for operator in self.graph.operators if operator.name == name]
        return of_kind[[stored for stored, kind in STORED if kind == name].index(layer)]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)
    keras.utils.set_random_seed(1)
    model = build_model("tiny", classes=5, size=32, alpha=1.0, weights="none", dropout=0.2)
    random_weights(model, pixels, 5)
    quantized = quantize(model)
    calibrate(quantized, pixels)
    root = tmp_path_factory.mktemp("layers")
    tflite = root / to_tflite(quantized, "int8", pixels, root).path
    return Converted(quantized, tflite, read_graph(tflite), pixels)


def replaced(path: Path, old: bytes, new: bytes, out: Path) -> Path:
    data = path.read_bytes()
    assert data.count(old) == 1
    out.write_bytes(data.replace(old, new))
    return out


def test_every_tensor_of_a_sound_tflite_is_keras_s(converted: Converted) -> None:
    found = compare_layers(converted.model, converted.tflite, converted.pixels)
    assert [(row.layer, row.operator) for row in found[: len(STORED)]] == STORED
    assert found[-1].layer == "logits_range"
    rounding = [layer for layer in converted.model.layers if isinstance(layer, FakeQuantize)]
    assert len(found) == len(rounding), "each has its place in the .tflite"
    assert first_to_leave(found) is None
    assert max(row.mean for row in found) < 0.5
    assert found[0].p99 == 0, "the pixel is the quantized value"


@pytest.mark.parametrize("layer", ["stem_relu", "depthwise_relu", "project_bn_range"])
def test_weights_that_are_wrong_name_their_layer_and_no_other(layer: str, converted: Converted, tmp_path: Path) -> None:
    weights = converted.graph.tensors[converted.operator(layer).inputs[1]].data
    assert weights is not None
    spoilt = replaced(converted.tflite, weights.tobytes(), (~weights).tobytes(), tmp_path / "spoilt.tflite")
    found = compare_layers(converted.model, spoilt, converted.pixels)
    assert [row.layer for row in found if not row.within] == [layer], "what comes behind is right of what it reads"
    first = first_to_leave(found)
    assert first is not None
    assert str(first).startswith(f"{first.operator} of layer {layer} is off by ")


def test_a_bias_that_is_wrong_names_its_layer(converted: Converted, tmp_path: Path) -> None:
    bias = converted.graph.tensors[converted.operator("depthwise_relu").inputs[2]].data
    assert bias is not None
    other = bias + np.int32(np.abs(bias).max() * 2)
    spoilt = replaced(converted.tflite, bias.tobytes(), other.tobytes(), tmp_path / "spoilt.tflite")
    first = first_to_leave(compare_layers(converted.model, spoilt, converted.pixels))
    assert first is not None
    assert first.layer == "depthwise_relu"


def test_a_scale_that_is_wrong_names_its_layer_and_both_scales(converted: Converted, tmp_path: Path) -> None:
    quantization = converted.graph.tensors[converted.operator("project_bn_range").outputs[0]].quantization
    assert quantization is not None
    scale = float(quantization.scale[0])
    spoilt = replaced(
        converted.tflite, struct.pack("<f", scale), struct.pack("<f", scale * 3), tmp_path / "spoilt.tflite"
    )
    first = first_to_leave(compare_layers(converted.model, spoilt, converted.pixels))
    assert first is not None
    assert first.layer == "project_bn_range"
    assert f"and its step is {3 * scale:.4g} where Keras's is {scale:.4g}" in str(first)


def test_a_range_that_moved_in_keras_after_the_conversion_names_its_layer(converted: Converted) -> None:
    moved = keras.models.clone_model(converted.model)
    moved.set_weights(converted.model.get_weights())
    layer = moved.get_layer("add_range")
    layer.maximum.assign(layer.maximum * 4)
    first = first_to_leave(compare_layers(moved, converted.tflite, converted.pixels))
    assert first is not None
    assert first.layer == "add_range"
