"""Makes the small models of the device conformance suite: python tests/devices/make_conformance_models.py [FOLDER]

A network of two convolutions is trained on colored noise, quantized and converted by the code that every model of
Linnet goes through. Run it when that code changes what it writes, and look at what the suite says.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import keras
import msgspec
import numpy as np
from keras import layers

from linnet_convert.proof.parity import keras_logits
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.tflite import to_tflite
from linnet_devices.api import Model, Pixels
from linnet_devices.testing.samples import (
    CLASSES,
    DIGESTS,
    ENTRIES,
    EXPECTED,
    HEIGHT,
    MODELS,
    WIDTH,
    pattern_pictures,
)
from linnet_runtime.bundle import Artifact
from linnet_train.models import OFFSET, SCALE
from linnet_train.quantization import calibrate, quantize

_PHOTOS = 600
_CHANNELS = 8


def main(folder: Path) -> None:
    """Writes the models and what the suite needs to know of them."""
    keras.utils.set_random_seed(0)
    pixels, labels = _colored_noise()
    float_model = _network()
    float_model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    float_model.fit(pixels, labels, epochs=12, batch_size=32, verbose=0)
    int8_model = quantize(float_model)
    calibrate(int8_model, pixels)
    with tempfile.TemporaryDirectory() as bundle:
        digests: list[str] = []
        entries = _convert(int8_model, float_model, pixels, Path(bundle))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in Path(bundle).rglob("*.*"):
            shutil.copy(path, folder)
            digests.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    (folder / DIGESTS).write_text("".join(sorted(digests, key=lambda line: line.split()[1])))
    expected = {
        "int8": keras_logits(int8_model, pattern_pictures()).tolist(),
        "float": keras_logits(float_model, pattern_pictures()).tolist(),
    }
    (folder / ENTRIES).write_bytes(msgspec.json.format(msgspec.json.encode(entries)) + b"\n")
    (folder / EXPECTED).write_bytes(msgspec.json.encode(expected) + b"\n")


def _colored_noise() -> tuple[Pixels, np.ndarray]:
    """uint8 [N, H, W, 3] with int64 [N]: the channel that is brightest by far."""
    random = np.random.RandomState(2)
    labels = np.arange(_PHOTOS) % len(CLASSES)
    pixels = random.randint(0, 96, (_PHOTOS, HEIGHT, WIDTH, 3), dtype=np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[..., label] += random.randint(40, 161)
    return pixels, labels


def _network() -> keras.Model:
    pixels = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8", name="pixels")
    x = layers.Rescaling(SCALE, OFFSET)(pixels)
    x = layers.Conv2D(_CHANNELS, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(len(CLASSES), name="logits")(x))


def _convert(int8_model: keras.Model, float_model: keras.Model, pixels: Pixels, bundle: Path) -> list[Model]:
    """Every format in both precisions; the entries' paths are the files' bare names, as the folder is flat."""
    entries = []
    for model, precision, stored in ((int8_model, "int8", "int8"), (float_model, "float32", "float16")):
        tflite = to_tflite(model, precision, pixels, bundle)
        onnx = to_onnx(bundle / tflite.path, precision, bundle)
        entries += [tflite, onnx, to_openvino(bundle / onnx.path, bundle / tflite.path, stored, bundle)]
    return [_flat(entry) for entry in entries]


def _flat(artifact: Artifact) -> Model:
    model = artifact.model()
    weights = model.weights and Path(model.weights).name
    return msgspec.structs.replace(model, path=Path(model.path).name, weights=weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MODELS)
