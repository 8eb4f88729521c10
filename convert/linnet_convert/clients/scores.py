"""A bundle's int8 .tflite with a softmax behind its logits: uint8 scores q / 256, calibrated by the temperature.

The operators before it stay as they are, so that the logits are the bundle's own, step for step. LiteRT's kernel
computes the softmax of ``beta * scale * q``, where ``scale`` is that of the logits' tensor: a ``beta`` of 1 / temperature
divides the scale without a change to the operator that rounds to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.errors import ConversionError
from linnet_convert.metadata import tflite as metadata
from linnet_devices.api import Artifact
from linnet_runtime.bundle import Bundle, check_artifact

SCORE = 1 / 256  # TensorFlow Lite fixes the step of a softmax
_SOFTMAX, _RESIZE = schema.BuiltinOperator.SOFTMAX, schema.BuiltinOperator.RESIZE_BILINEAR
_HALF_PIXEL_CENTERS = 3  # the version of RESIZE_BILINEAR that knows them


def write_scoring_model(bundle: Bundle, path: Path, *, side: int | None = None, compiled: bool = False) -> None:
    """Writes the bundle's int8 .tflite with scores for outputs, and with TFLite metadata that says so.

    Args:
        bundle: an open one.
        path: the new file.
        side: the height and width in pixels of the photos that the client gives; another size than the model's is
            resized in the model, by bilinear interpolation. None: the client follows the model's.
        compiled: take the model that was compiled for the Edge TPU where the bundle has one.

    Raises:
        ConversionError: the bundle has no such .tflite, or it is not one of uint8 pixels and logits.
        BundleError: its file is damaged.
    """
    artifact = _artifact(bundle, compiled=compiled)
    check_artifact(artifact)
    model = metadata.without_metadata(schema.ModelT.InitFromPackedBuf(Path(artifact.path).read_bytes(), 0))
    preprocess, pixels, scores = bundle.preprocess, artifact.input, artifact.output
    if scores.values == "logits":
        _append_softmax(model, beta=1 / bundle.temperature)
        scores = _replace(scores, name="scores", scale=SCORE, zero_point=0, values="probabilities")
    if side is not None and (side, side) != (preprocess.height, preprocess.width):
        _prepend_resize(model, side)
        preprocess = _replace(preprocess, height=side, width=side)
        pixels = _replace(pixels, name="pixels", shape=(1, side, side, 3))
    path.write_bytes(metadata.pack(model))
    metadata.write(path, _replace(artifact, input=pixels, output=scores), bundle.labels, preprocess)
