"""Models as the tools of others write them by default: they come in, and compute what their bare engine computes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from foreign import CLASSES, SIDE, Network, mobile
from linnet_convert import convert
from linnet_convert.errors import ConversionError
from linnet_convert.facts import OpenSides
from linnet_convert.proof.parity import model_logits
from linnet_convert.readers import keras as keras_reader
from linnet_convert.readers import onnx as onnx_reader
from linnet_convert.readers import tflite as tflite_reader
from linnet_convert.readers.keras_input import split_beginning
from linnet_runtime.bundle import open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.decision import probabilities

LABELS = ("blue", "green", "red")
PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
NORMALIZED = ((PIXELS.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
INT16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
SAYS: dict[str, Any] = {"labels": LABELS, "color": "rgb"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network with sigmoids as .tflite in the forms of TensorFlow's converter."""
    folder = tmp_path_factory.mktemp("ordinary")
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(48, 3, strides=4, activation="relu")(pixels)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 3, activation="relu")(x))
    spread = keras.initializers.RandomNormal(0, 3.0)
    model = keras.Model(pixels, layers.Dense(CLASSES, activation="sigmoid", kernel_initializer=spread)(x))
    for name, options in {
        "fp16": {"types": [tf.float16]},
        "int8": {"photos": NORMALIZED},
        "16x8": {"photos": NORMALIZED, "ops": [INT16]},
        "dynamic": {},
    }.items():
        (folder / f"{name}.tflite").write_bytes(converted(model, **options))
    return folder


def converted(model: keras.Model, *, types: Any = (), photos: Any = None, ops: Any = None) -> bytes:
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    converter.experimental_lower_to_saved_model = False
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = list(types)
    if photos is not None:
        converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
    if ops is not None:
        converter.target_spec.supported_ops = ops
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return bytes(converter.convert())


def lite(path: Path) -> NDArray[np.float32]:
    """The file's own outputs for PIXELS, by a bare interpreter."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    rows = []
    for photo in NORMALIZED:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], photo[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(rows)


def in_bundle(bundle: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The name and the probabilities for PIXELS of each of a bundle's models."""
    for artifact in open_bundle(bundle).artifacts:
        assert artifact.output.values == "independent_probabilities"
        yield Path(artifact.path).name, probabilities(model_logits(artifact.model(), PIXELS), 1.0, independent=True)


@pytest.mark.parametrize(
    ("name", "becomes", "within"),
    [
        ("fp16", ["model.fp16.tflite", "model.fp32.onnx", "fp16.xml"], 1e-3),
        ("int8", ["model.int8.tflite", "model.int8.onnx", "int8.xml"], 4 / 256),  # steps of a sigmoid
        ("16x8", ["model.int8.tflite"], 1e-3),
    ],
)
def test_a_tflite_in_a_form_of_tensorflows_converter_comes_in(
    name: str, becomes: list[str], within: float, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-precision weights; int8 with float input and output; int16 activations, which no other format has."""
    expected = lite(folder / f"{name}.tflite")
    assert np.ptp(expected, axis=0).max() > 0.01
    convert(folder / f"{name}.tflite", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5)
    found = dict(in_bundle(tmp_path / "x.linnet"))
    assert list(found) == becomes
    for made, probability in found.items():
        np.testing.assert_allclose(probability, expected, atol=within, err_msg=made)
    assert ("only TensorFlow Lite computes them" in caplog.text) == (name == "16x8")


def test_dynamic_range_is_stated(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts = tflite_reader.read(folder / "dynamic.tflite", OpenSides())
    assert (facts.dynamic_range, facts.precision) == (True, "float32")
    convert(folder / "dynamic.tflite", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5, formats=["tflite"])
    ((_, probability),) = in_bundle(tmp_path / "x.linnet")
    np.testing.assert_allclose(probability, lite(folder / "dynamic.tflite"), atol=1e-3)
    assert "dynamic range: only its weights are integers" in caplog.text


# .onnx


def sigmoids() -> onnx.ModelProto:
    network, scores = mobile()
    return network.model(network.node("Sigmoid", scores))


def runtime(path: Path, pictures: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": x.transpose(2, 0, 1)[None]})[0] for x in pictures])


def test_a_sigmoid_is_its_own_probability(tmp_path: Path) -> None:
    """It was divided by the sum of all: 0.58 where the model says 0.96."""
    onnx.save(sigmoids(), tmp_path / "model.onnx")
    expected = runtime(tmp_path / "model.onnx", NORMALIZED)
    assert not np.allclose(expected.sum(axis=1), 1, atol=0.1)
    convert(tmp_path / "model.onnx", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5, formats=["onnx"])
    with Classifier.open(tmp_path / "x.linnet") as classifier:
        for photo, probability in zip(PIXELS, expected, strict=True):
            found = classifier.classify(photo, color="rgb")
            assert found.independent
            assert found.label == LABELS[int(probability.argmax())]
            assert dict(found.top) == pytest.approx(dict(zip(LABELS, probability.tolist(), strict=True)), abs=1e-5)


def test_a_half_precision_onnx_comes_in(tmp_path: Path) -> None:
    """Weights, input and output in float16, as ONNX Runtime computes them."""
    model = sigmoids()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    expected = runtime(tmp_path / "half.onnx", NORMALIZED.astype(np.float16)).astype(np.float32)
    convert(tmp_path / "half.onnx", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5)
    found = dict(in_bundle(tmp_path / "x.linnet"))
    assert list(found) == ["model.fp32.tflite", "model.fp16.onnx", "fp16.xml"]
    np.testing.assert_allclose(found["model.fp32.tflite"], expected, atol=0.01)
    np.testing.assert_allclose(found["model.fp16.onnx"], expected, atol=1e-3)  # half precision has 11 bits
    np.testing.assert_allclose(found["fp16.xml"], expected, atol=0.01)


@pytest.mark.parametrize(
    ("operator", "attributes", "dtype"),
    [("ArgMax", {"axis": 1}, TensorProto.INT64), ("ReduceMax", {"axes": [1]}, TensorProto.FLOAT)],
)
def test_one_output_for_all_labels_is_refused(
    operator: str, attributes: dict[str, Any], dtype: int, tmp_path: Path
) -> None:
    network, scores = mobile()
    model = network.model(scores)
    model.graph.node.append(onnx.helper.make_node(operator, ["scores"], ["best"], **attributes))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("best", dtype, None))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match=r"\[1, 1\].*Fix: a model with an output for each label"):
        onnx_reader.read(tmp_path / "model.onnx", OpenSides())


def test_a_model_that_gives_the_same_for_every_picture_is_refused(tmp_path: Path) -> None:
    """It was proven: 1.0000 of its artifacts' labels agree, whatever the picture."""
    network = Network()
    x = network.node(
        "Mul", network.node("GlobalAveragePool", network.conv("input", 4)), network.constant(np.float32(0))
    )
    onnx.save(network.model(network.dense(network.node("Flatten", x), 4)), tmp_path / "blind.onnx")
    with pytest.raises(ConversionError, match=r"outputs of blind\.onnx: got the same for all of 8 pictures of noise"):
        convert(tmp_path / "blind.onnx", tmp_path / "x.linnet", **SAYS, mean=0, std=1, formats=["onnx"])
    assert not (tmp_path / "x.linnet").exists()


# .keras and .h5


def ending(x: Any) -> Any:
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def augmented(x: Any) -> Any:
    augmentation = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomContrast(0.2)])
    return layers.Rescaling(1 / 127.5, -1)(layers.GaussianNoise(0.1)(augmentation(x)))


def normalization(x: Any) -> Any:
    return layers.Normalization(mean=[123.0, 116.0, 103.0], variance=[3400.0, 3300.0, 3200.0])(x)


def within_a_network(x: Any) -> Any:
    pixels = keras.Input((SIDE, SIDE, 3))
    inner = keras.Model(pixels, layers.Conv2D(3, 1)(normalization(layers.Rescaling(1.0)(pixels))))
    return inner(layers.RandomZoom(0.1)(x))


BEGINNINGS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "augmentation before a Rescaling": (augmented, True),
    "a Normalization": (normalization, True),
    "a normalization within a network within": (within_a_network, True),
    "preprocess_input, as operations on tensors": (keras.applications.mobilenet_v2.preprocess_input, True),
    "preprocess_input with a value for each color": (keras.applications.densenet.preprocess_input, True),
    "no normalization": (lambda x: layers.Conv2D(3, 1)(x), False),
    "a batch normalization, whose pixels nobody knows": (lambda x: layers.BatchNormalization()(x), False),
}


@pytest.mark.parametrize("case", BEGINNINGS)
def test_a_keras_network_is_split_into_its_normalization_and_the_rest(case: str) -> None:
    """No second normalization is asked for, and what works in training alone is gone: neither has an int8 form."""
    begin, normalizes = BEGINNINGS[case]
    keras.utils.set_random_seed(1)
    pixels = keras.Input((SIDE, SIDE, 3))
    network = keras.Model(pixels, ending(begin(pixels)))
    found = split_beginning(network)
    assert found.normalizes == normalizes
    expected = np.asarray(network(PIXELS.astype(np.float32), training=False))
    normalized = (PIXELS.astype(np.float32) - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(found.network(normalized.astype(np.float32), training=False), expected, atol=2e-5)
    kinds = {type(operation).__name__ for operation in found.network.operations}
    assert not any(kind.startswith("Random") or kind in ("Rescaling", "Normalization") for kind in kinds)


def test_an_augmented_keras_file_becomes_integers(easy_photos: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, ending(augmented(pixels)))
    model.save(tmp_path / "model.keras")
    photos = {"calibrate": easy_photos, "data": easy_photos}
    convert(tmp_path / "model.keras", tmp_path / "x.linnet", **SAYS, **photos, size=SIDE, formats=["tflite"])
    expected = np.asarray(model(PIXELS.astype(np.float32), training=False))
    for artifact in open_bundle(tmp_path / "x.linnet").artifacts:
        assert artifact.input.shape == (1, SIDE, SIDE, 3)
        probability = probabilities(model_logits(artifact.model(), PIXELS), 1.0)
        np.testing.assert_allclose(probability, expected, atol=0.05 if artifact.is_int8 else 1e-4)


def as_keras_2_wrote_it(path: Path) -> None:
    """Changes an .h5 of Keras 3 to the words of Keras 2, as Teachable Machine's keras_model.h5 has them."""

    def older(config: Any) -> Any:
        if isinstance(config, list):
            return [older(entry) for entry in config]
        if not isinstance(config, dict):
            return config
        config = {key: older(value) for key, value in config.items() if key not in ("registered_name", "build_config")}
        inner = config.get("config")
        if not isinstance(inner, dict) or "class_name" not in config:
            return config
        config["module"] = "tf_keras.src.engine.functional" if config["class_name"] == "Functional" else "keras.layers"
        if "batch_shape" in inner:
            inner["batch_input_shape"] = inner.pop("batch_shape")
        if config["class_name"] in ("DepthwiseConv2D", "SeparableConv2D"):
            inner |= {"groups": 1}
        if config["class_name"] == "BatchNormalization":
            inner["axis"] = [3]
        return config

    with h5py.File(path, "r+") as file:
        config = older(json.loads(file.attrs["model_config"]))
        del config["module"]
        file.attrs["model_config"] = json.dumps(config).encode()


def test_an_h5_of_keras_2_comes_in(tmp_path: Path) -> None:
    """A network within a Sequential model within a Sequential model, with a depthwise convolution that has groups."""
    keras.utils.set_random_seed(4)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3)(layers.Conv2D(8, 3, strides=2)(pixels)))
    features = keras.Sequential([keras.Model(pixels, layers.ReLU(6.0)(x)), layers.GlobalAveragePooling2D()])
    model = keras.Sequential([features, keras.Sequential([layers.Dense(CLASSES, activation="softmax")])])
    expected = np.asarray(model(NORMALIZED))
    model.save(tmp_path / "model.h5")
    as_keras_2_wrote_it(tmp_path / "model.h5")
    facts = keras_reader.read(tmp_path / "model.h5", OpenSides())
    assert (facts.input.shape, facts.values) == ((1, SIDE, SIDE, 3), "probabilities")
    np.testing.assert_allclose(keras_reader.load(tmp_path / "model.h5")(NORMALIZED), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TFOpLambda", r"got the layer TFOpLambda.*Fix: .*tf\.saved_model\.save\(model, 'FOLDER'\)"),
        ("Lambda", "got a Lambda layer, expected no code in the file"),
        (None, r"got weights without the network.*Fix: model\.save\('model\.keras'\)"),
    ],
)
def test_an_h5_that_keras_3_cannot_build_is_refused_with_a_fix(name: str | None, says: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        if name is not None:
            layer = {"class_name": name, "config": {"name": "x"}}
            file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": [layer]}})
    with pytest.raises(ConversionError, match=says):
        keras_reader.read(tmp_path / "model.h5", OpenSides())


def test_a_single_sigmoid_is_refused_with_a_fix(tmp_path: Path) -> None:
    pixels = keras.Input((SIDE, SIDE, 3))
    keras.Model(pixels, layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(pixels))).save(
        tmp_path / "binary.keras"
    )
    with pytest.raises(ConversionError, match="Fix: a model with an output for each label: two, and a softmax"):
        keras_reader.read(tmp_path / "binary.keras", OpenSides())
