"""The feature artifacts: the same integers as the int8 artifacts, up to the last feature map."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_convert.features.write import FeatureModels, write_features
from linnet_convert.progress import silent
from linnet_convert.proof.parity import artifact_logits
from linnet_convert.readers.tflite_graph import keeping_interpreter, read_graph
from linnet_convert.writers.from_tflite import write_from_tflite
from linnet_convert.writers.tflite import to_tflite
from linnet_devices.api import Format
from linnet_runtime.bundle import Artifact, open_bundle
from linnet_runtime.classifier import Classifier
from linnet_train.quantization import calibrate, quantize
from networks import random_weights
from program import Program, one_line_error

ALL: set[Format] = {"tflite", "onnx", "openvino"}


def network(ending: Callable[[Any], Any]) -> keras.Model:
    pixels = keras.Input((12, 16, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, -1.0)(pixels)
    x = layers.Conv2D(7, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    return keras.Model(pixels, ending(x))


def pooled(x: Any) -> Any:
    return layers.Dense(4)(layers.GlobalAveragePooling2D()(x))


def pooled_to_a_picture(x: Any) -> Any:
    """As some networks have it: a 1x1 convolution for the dense layer."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Flatten()(layers.Conv2D(4, 1)(x))


def two_layers(x: Any) -> Any:
    return layers.Dense(4)(layers.ReLU()(layers.Dense(5)(layers.GlobalAveragePooling2D()(x))))


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    """Of other colors each: the mean of a feature map would be the same for all noise."""
    rng = np.random.default_rng(3)
    limits = np.sort(rng.integers(0, 256, (2, 20, 1, 1, 3)), axis=0)
    return rng.integers(limits[0], limits[1], (20, 12, 16, 3), np.uint8, endpoint=True)


def written(
    ending: Callable[[Any], Any], photos: NDArray[np.uint8], root: Path, formats: set[Format]
) -> tuple[list[Artifact], FeatureModels]:
    keras.utils.set_random_seed(5)
    model = network(ending)
    random_weights(model, photos, 5)
    quantized = quantize(model)
    calibrate(quantized, photos)
    tflite = to_tflite(quantized, "int8", photos, root)
    plain = [tflite, *write_from_tflite(root / tflite.path, "int8", root, formats, silent)]
    return plain, write_features(plain, formats, root, silent)


@pytest.mark.parametrize("ending", [pooled, pooled_to_a_picture], ids=lambda ending: ending.__name__)
def test_the_logits_are_those_of_the_whole_model_in_every_engine(
    ending: Callable[[Any], Any], photos: NDArray[np.uint8], tmp_path: Path
) -> None:
    plain, features = written(ending, photos, tmp_path, ALL)
    step = plain[0].output.scale
    assert step is not None
    assert [artifact.format for artifact in features.artifacts] == [artifact.format for artifact in plain]
    for whole, cut in zip(plain, features.artifacts, strict=True):
        expected = artifact_logits(whole, tmp_path, photos)
        assert len(np.unique(expected)) > 10, "not a constant"
        found = artifact_logits(cut, tmp_path, photos, features.head)
        assert np.abs(found - expected).max() <= 1.01 * step, cut.path
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
        assert cut.input == whole.input
        assert cut.output.shape == (1, 6, 8, 7)


def test_the_integers_of_the_map_are_those_of_the_whole_model(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    plain, features = written(pooled, photos, tmp_path, {"tflite"})
    whole, cut = tmp_path / plain[0].path, tmp_path / features.artifacts[0].path
    graph = read_graph(whole)
    pooling = next(operator for operator in graph.operators if operator.name == "MEAN")
    both = [keeping_interpreter(path) for path in (whole, cut)]
    for photo in photos:
        for interpreter in both:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], photo[None])
            interpreter.invoke()
        output = both[1].get_output_details()[0]["index"]
        np.testing.assert_array_equal(both[0].get_tensor(pooling.inputs[0]), both[1].get_tensor(output))


def test_the_cut_file_holds_neither_the_dense_layer_nor_the_metadata_of_logits(
    photos: NDArray[np.uint8], tmp_path: Path
) -> None:
    plain, features = written(pooled, photos, tmp_path, {"tflite"})
    whole, cut = (read_graph(tmp_path / artifact.path) for artifact in (plain[0], features.artifacts[0]))
    left = [operator.name for operator in whole.operators[len(cut.operators) :]]
    assert [operator.name for operator in cut.operators] == [op.name for op in whole.operators[: len(cut.operators)]]
    assert left == ["MEAN", "FULLY_CONNECTED", "QUANTIZE"]
    read = {i for operator in cut.operators for i in (*operator.inputs, *operator.outputs)} - {-1}
    assert read == set(range(len(cut.tensors)))


def test_only_the_formats_of_the_bundle_stay(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    _, features = written(pooled, photos, tmp_path, {"onnx"})
    assert [artifact.path for artifact in features.artifacts] == ["model.features.int8.onnx"]
    assert not (tmp_path / "model.features.int8.tflite").exists()


def test_a_network_with_two_dense_layers_has_no_features(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="one dense layer"):
        written(two_layers, photos, tmp_path, ALL)


def test_a_bundle_proves_its_features_and_explains_with_them(tiny_run: Path, program: Program, tmp_path: Path) -> None:
    out = tmp_path / "x.linnet"
    said = json.loads(
        program("convert", tiny_run, "--out", out, "--formats", "tflite,onnx", "--features", "--json").stdout
    )
    assert [row["path"] for row in said["features"]] == ["model.features.int8.tflite", "model.features.int8.onnx"]
    assert len(said["artifacts"]) == 4
    whole = {row["path"]: row["accuracy"] for row in said["artifacts"]}
    for row in said["features"]:
        assert row["reference"] == "keras int8"
        assert row["accuracy"] == pytest.approx(whole[row["path"].replace(".features", "")], abs=0.2)
    checked = json.loads(program("verify", out, "--data", tiny_run, "--json").stdout)
    assert checked["passed"] is True
    rows = {row["path"]: row for row in checked["artifacts"]}
    assert rows["model.features.int8.onnx"]["canary"]["passed"] is True
    assert rows["model.features.int8.onnx"]["agreement_n"] > 0

    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for device in ("cpu:litert", "cpu:onnx"):
        with (
            Classifier.open(out, device, precision="int8") as plain,
            Classifier.open(out, device, explain=True) as explaining,
        ):
            found, expected = (each.classify(picture, color="rgb") for each in (explaining, plain))
        step = open_bundle(out).artifacts[0].output.scale
        assert step is not None
        np.testing.assert_allclose(found.logits, expected.logits, atol=1.01 * step)
        assert found.artifact.startswith("model.features.int8")
        assert found.saliency_map is not None
        assert found.saliency_map.shape[0] == 3


def test_without_the_option_a_bundle_is_as_it_was(tiny_run: Path, program: Program, tmp_path: Path) -> None:
    out = tmp_path / "x.linnet"
    program("convert", tiny_run, "--out", out, "--formats", "tflite")
    bundle = open_bundle(out)
    assert not bundle.features
    assert bundle.schema == 1
    assert not (out / "head.npz").exists()


def test_features_that_are_wanted_and_impossible_are_one_line(program: Program, tmp_path: Path) -> None:
    network(pooled).save(tmp_path / "float.keras")
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    done = program(
        *("convert", tmp_path / "float.keras", "--out", tmp_path / "x.linnet", "--labels", labels),
        *("--mean", 0, "--std", 1, "--color", "rgb", "--features"),
        status=1,
    )
    assert "features: got no int8 .tflite" in one_line_error(done)
    assert not (tmp_path / "x.linnet").exists()
