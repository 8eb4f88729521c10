"""A bundle's int8 .tflite with a softmax behind its logits: uint8 scores q / 256, calibrated by the temperature.

The operators before it stay as they are, so that the logits are the bundle's own, step for step. LiteRT's kernel
computes the softmax of ``beta * scale * q``, where ``scale`` is that of the logits' tensor: ``beta = 1 / temperature``
divides the scale and leaves the operator that rounds to it as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.errors import ConversionError
from linnet_convert.metadata import tflite as metadata
from linnet_devices.api import TensorSpec
from linnet_runtime.bundle import Artifact, Bundle
from linnet_runtime.bundle_files import check_artifact

_SCORE = 1 / 256  # TensorFlow Lite fixes the step of a softmax
_WITH_HALF_PIXEL_CENTERS = 3  # the version of RESIZE_BILINEAR


def write_scoring_model(bundle: Bundle, path: Path, *, side: int | None = None, compiled: bool = False) -> None:
    """Writes the bundle's int8 .tflite with scores for outputs, and with TFLite metadata that says so.

    Args:
        bundle: an open one.
        path: the new file.
        side: the height and width in pixels of the photos that the client gives; the model resizes them to its own size
            by bilinear interpolation. None: the client follows the model's size.
        compiled: take the model that was compiled for the Edge TPU where the bundle has one.

    Raises:
        ConversionError: the bundle has no int8 .tflite of uint8 pixels and logits.
        BundleError: its file is damaged.
    """
    artifact = _artifact(bundle, compiled=compiled)
    check_artifact(artifact)
    model = metadata.without_metadata(schema.ModelT.InitFromPackedBuf(Path(artifact.path).read_bytes(), 0))
    scores = msgspec.structs.replace(artifact.output, name="scores", scale=_SCORE, zero_point=0, values="probabilities")
    _append_softmax(model, scores.name, beta=1 / bundle.temperature)
    preprocess, pixels = bundle.preprocess, artifact.input
    if side is not None and (side, side) != (preprocess.height, preprocess.width):
        preprocess = msgspec.structs.replace(preprocess, height=side, width=side)
        pixels = msgspec.structs.replace(pixels, name="photo", shape=(1, side, side, 3))
        _prepend_resize(model, pixels)
    path.write_bytes(metadata.pack(model))
    described = msgspec.structs.replace(artifact, input=pixels, output=scores)
    metadata.write_tflite(path, described, bundle.labels, preprocess)


def _artifact(bundle: Bundle, *, compiled: bool) -> Artifact:
    """The .tflite to start from. Raises ConversionError where there is none, or where a client would misread it."""
    found = [artifact for artifact in bundle.artifacts if artifact.format == "tflite" and artifact.is_int8]
    usable = [artifact for artifact in found if compiled or artifact.compiled_for is None]
    if not usable:
        got = ", ".join(f"{artifact.format} {artifact.precision}" for artifact in bundle.artifacts)
        raise ConversionError(bundle.name, got=got, expected="a bundle with an int8 .tflite")
    artifact = max(usable, key=lambda artifact: artifact.compiled_for is not None)
    if problems := _problems(artifact):
        got, expected = problems[0]
        raise ConversionError(f"{Path(artifact.path).name} for a client", got=got, expected=expected)
    return artifact


def _problems(artifact: Artifact) -> list[tuple[str, str]]:
    """What a client would get wrong: (what the model has, what the client takes it for)."""
    pixels, logits = artifact.input, artifact.output
    checks = [
        ((pixels.dtype, pixels.layout, pixels.color), ("uint8", "NHWC", "rgb"), "input"),
        ((logits.dtype,), ("uint8",), "output"),
        ((logits.values,), ("logits",), "output"),
    ]
    problems = [(f"{' '.join(got)} {what}", " ".join(expected)) for got, expected, what in checks if got != expected]
    if not _takes_pixels_as_they_are(pixels):
        problems.append(("pixels that are normalized before the model", "pixels 0..255 as they are"))
    return problems


def _takes_pixels_as_they_are(spec: TensorSpec) -> bool:
    """Whether a pixel is the input's quantized value: (pixel - mean) / std is scale * (pixel - zero point)."""
    if spec.mean is None or spec.std is None:
        return True
    if spec.scale is None or spec.zero_point is None:
        return False
    return bool(np.allclose(spec.mean, spec.zero_point, atol=0.5) and np.allclose(1, np.multiply(spec.std, spec.scale)))


def _append_softmax(model: Any, name: str, *, beta: float) -> None:
    """Puts a SOFTMAX behind the model's output."""
    graph = model.subgraphs[0]
    logits = graph.outputs[0]
    scores = _add_tensor(graph, name, graph.tensors[logits].shape, _quantization(_SCORE, 0))
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    softmax = _operator(model, schema.BuiltinOperator.SOFTMAX, [logits], scores)
    softmax.builtinOptionsType, softmax.builtinOptions = schema.BuiltinOptions.SoftmaxOptions, options
    graph.operators.append(softmax)
    graph.outputs = [scores]
    for signature in model.signatureDefs or []:
        signature.outputs[0].tensorIndex = scores


def _prepend_resize(model: Any, pixels: TensorSpec) -> None:
    """Puts a RESIZE_BILINEAR before the model's input, from the shape of ``pixels``."""
    graph = model.subgraphs[0]
    to = graph.inputs[0]
    size = schema.BufferT()
    size.data = np.frombuffer(np.array(graph.tensors[to].shape[1:3], np.int32).tobytes(), np.uint8)
    model.buffers.append(size)
    sides = _add_tensor(graph, "size", [2], None, schema.TensorType.INT32, buffer=len(model.buffers) - 1)
    photo = _add_tensor(graph, pixels.name, pixels.shape, graph.tensors[to].quantization)
    options = schema.ResizeBilinearOptionsT()
    options.halfPixelCenters = True
    resize = _operator(model, schema.BuiltinOperator.RESIZE_BILINEAR, [photo, sides], to, _WITH_HALF_PIXEL_CENTERS)
    resize.builtinOptionsType, resize.builtinOptions = schema.BuiltinOptions.ResizeBilinearOptions, options
    graph.operators.insert(0, resize)
    graph.inputs = [photo]
    for signature in model.signatureDefs or []:
        signature.inputs[0].tensorIndex = photo


def _add_tensor(
    graph: Any, name: str, shape: Any, quantization: Any, kind: int = schema.TensorType.UINT8, buffer: int = 0
) -> int:
    """Adds a tensor and gives its index. Buffer 0 is the empty one of every model."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), kind
    tensor.quantization, tensor.buffer, tensor.hasRank = quantization, buffer, True
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _operator(model: Any, code: int, inputs: list[int], output: int, version: int = 1) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, [output]
    kind = schema.OperatorCodeT()
    kind.builtinCode = kind.deprecatedBuiltinCode = code
    kind.version = version
    model.operatorCodes.append(kind)
    return operator


def _quantization(scale: float, zero_point: int) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    return quantization
