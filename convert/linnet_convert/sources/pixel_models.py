"""A float Keras network made elsewhere as a model that takes pixels, and its int8 form. Both are then converted like
the models of a run.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from linnet_convert.facts import CHANNELS, IDENTITY
from linnet_convert.onnx_to_keras.graph import affine
from linnet_convert.progress import OnStep
from linnet_convert.readers.keras_input import split_beginning
from linnet_convert.sources.signature import Signature
from linnet_convert.writers.keras import write_artifacts
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import Preprocess
from linnet_train.quantization import calibrate, quantize

_ZERO_PIXEL, _UNIT = 128, 128  # the pixel is the quantized value
_PHOTOS = 8


def takes_pixels(network: keras.Model, signature: Signature) -> keras.Model:
    """The network behind the normalization of its signature: uint8 RGB or BGR pixels [N, H, W, 3] in.

    One mean and one standard deviation become a Rescaling. Those by channel become a BatchNormalization behind a
    Rescaling to [-1, 1), so that the quantized value is still the pixel.
    """
    size, (mean, std), beginning = signature.preprocess, signature.normalization, split_beginning(network)
    if (mean, std) == IDENTITY:
        network, mean, std = beginning.network, beginning.mean, beginning.std
    elif not beginning.normalizes:
        network = beginning.network
    pixels = keras.Input((size.height, size.width, CHANNELS), dtype="uint8", name="pixels")
    if len(set(mean)) == len(set(std)) == 1 and 0 <= mean[0] <= 255:
        normalized = layers.Rescaling(1 / std[0], -mean[0] / std[0], name="normalise")(pixels)
    else:
        about_zero = layers.Rescaling(1 / _UNIT, -_ZERO_PIXEL / _UNIT, name="normalise")(pixels)
        means, deviations = np.array(mean), np.array(std)
        normalized = affine(about_zero, _UNIT / deviations, (_ZERO_PIXEL - means) / deviations, "normalise_channels")
    return keras.Model(pixels, network(normalized))


def int8_form(model: keras.Model, photos: Pixels) -> keras.Model:
    """The quantized model, calibrated on uint8 [N, H, W, 3]. Raises TrainingError for a layer without an int8 form."""
    quantized = quantize(model)
    calibrate(quantized, photos)
    return quantized


def write_pixel_models(
    models: dict[Precision, keras.Model],
    size: Preprocess,
    photos: Pixels | None,
    root: Path,
    formats: set[Format],
    on_step: OnStep,
) -> tuple[Artifact, ...]:
    """``write_artifacts``, also where there are no ``photos`` uint8 [N, H, W, 3]."""
    if photos is None:
        photos = np.zeros((_PHOTOS, size.height, size.width, CHANNELS), np.uint8)
    return write_artifacts(models, photos, root, formats, on_step)
