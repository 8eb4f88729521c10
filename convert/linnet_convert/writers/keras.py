"""Keras models in every format: TensorFlow Lite first, and the others from that."""

from __future__ import annotations

from pathlib import Path

import keras

from linnet_convert.progress import OnStep
from linnet_convert.writers.from_tflite import write_from_tflite
from linnet_convert.writers.tflite import to_tflite
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact


def write_artifacts(
    models: dict[Precision, keras.Model], photos: Pixels, root: Path, formats: set[Format], on_step: OnStep
) -> tuple[Artifact, ...]:
    """Writes artifacts of models whose input is uint8 RGB pixels; see ``Source.write``.

    Args:
        models: by "int8" (``linnet_train.quantization``) and "float32", or one of them.
        photos: uint8 [N, H, W, 3]; see ``to_tflite``.
        root: the bundle's directory.
        formats: those that are wanted.
        on_step: called with each step that starts.

    Raises:
        ConversionError: a model that cannot be converted.
    """
    artifacts: list[Artifact] = []
    for precision, model in models.items():
        on_step(f"TensorFlow Lite, {precision}")
        tflite = to_tflite(model, precision, photos, root)
        artifacts.append(tflite)
        artifacts += write_from_tflite(root / tflite.path, precision, root, formats, on_step)
    return tuple(artifacts)
