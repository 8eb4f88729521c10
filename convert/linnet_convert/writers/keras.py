"""Keras models to every format: TensorFlow Lite first, ONNX from that, and OpenVINO from the ONNX."""

from __future__ import annotations

from pathlib import Path

import keras

from linnet_convert.source import OnStep
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.tflite import to_tflite
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact

_STORED: dict[Precision, Precision] = {"int8": "int8", "float32": "float16"}  # in OpenVINO's .bin


def write_artifacts(
    models: dict[Precision, keras.Model], photos: Pixels, root: Path, formats: set[Format], on_step: OnStep
) -> tuple[Artifact, ...]:
    """Writes the artifacts of models whose input is uint8 RGB pixels, and those on the way; see ``Source.write``.

    Args:
        models: by "int8" (``linnet_train.quantization``) and "float32", or one of them.
        photos: uint8 [N, H, W, 3], for the converter's question.
        root: the bundle's directory.
        formats: what is wanted.
        on_step: hears what is done next.

    Raises:
        ConversionError: a model that cannot be converted.
    """
    artifacts: list[Artifact] = []
    for precision, model in models.items():
        on_step(f"TensorFlow Lite, {precision}")
        tflite = to_tflite(model, precision, photos, root)
        artifacts.append(tflite)
        if formats & {"onnx", "openvino"}:
            on_step(f"ONNX, {precision}")
            onnx = to_onnx(root / tflite.path, precision, root)
            artifacts.append(onnx)
        if "openvino" in formats:
            on_step(f"OpenVINO, {precision}")
            artifacts.append(to_openvino(root / onnx.path, root / tflite.path, _STORED[precision], root))
    return tuple(artifacts)
