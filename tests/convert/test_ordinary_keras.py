"""A Keras model with its preprocessing inside, or of Keras 2, comes in or is refused with a fix that works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from foreign import CLASSES, SIDE
from linnet_convert import convert
from linnet_convert.errors import ConversionError
from linnet_convert.facts import OpenSides
from linnet_convert.proof.parity import model_logits
from linnet_convert.readers import keras as keras_reader
from linnet_convert.readers.keras_input import split_beginning
from linnet_runtime.bundle import open_bundle
from linnet_runtime.probabilities import probabilities

LABELS = ("blue", "green", "red")
PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
NORMALIZED = ((PIXELS.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
SAYS: dict[str, Any] = {"labels": LABELS, "color": "rgb"}


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
