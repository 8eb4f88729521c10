"""Tensors of the Open Inference Protocol: read from a request, and written into an answer.

In JSON a tensor's values stand in ``data``. Triton's binary tensor data extension puts them behind the JSON instead, in
the order of the tensors: little-endian, row by row, and for BYTES each element after its length as uint32.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.server.answers import HttpError

BINARY_HEADER = "Inference-Header-Content-Length"
INPUT = "image"
_PIXELS, _ENCODED = "UINT8", "BYTES"


class InputTensor(msgspec.Struct, frozen=True, kw_only=True):
    """An input of a request, as its JSON has it."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None
    """Nested or flat numbers, or one text in base64; None for binary data."""


class WantedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of a request."""

    inputs: tuple[InputTensor, ...]
    id: str | None = None
    outputs: tuple[WantedOutput, ...] = ()
    parameters: dict[str, Any] = {}


def read_request(body: bytes, json_bytes: str | None) -> tuple[InferRequest, bytes]:
    """The JSON of a request's body, and the binary data behind it.

    Args:
        body: the whole body.
        json_bytes: the length of the JSON, from the header ``Inference-Header-Content-Length``; None: all of it.

    Raises:
        HttpError: the JSON is no request.
    """
    end = len(body)
    if json_bytes is not None:
        number = json_bytes.isascii() and json_bytes.isdecimal() and len(json_bytes) < 12
        if not number or int(json_bytes) > len(body):
            expected = f"a number of at most the body's {len(body)} bytes"
            raise HttpError(BINARY_HEADER, got=repr(json_bytes[:20]), expected=expected)
        end = int(json_bytes)
    try:
        return msgspec.json.decode(body[:end], type=InferRequest), body[end:]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError("the request's JSON", got=str(error)[:300], expected="an inference request") from error


def read_image(request: InferRequest, binary: bytes) -> bytes | NDArray[np.uint8]:
    """The picture of a request: an encoded file, or RGB pixels uint8 [H, W, 3].

    Raises:
        HttpError: the request has another input, or its shape, datatype and data do not agree.
    """
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        names = ", ".join(tensor.name for tensor in request.inputs)[:100]
        raise HttpError("$.inputs", got=names or "none", expected=f"one input named {INPUT}")
    tensor = request.inputs[0]
    data = _data(tensor, binary)
    if tensor.datatype == _ENCODED:
        return _encoded(tensor, data)
    if tensor.datatype == _PIXELS:
        return _pixels(tensor, data)
    raise HttpError("$.inputs[0].datatype", got=tensor.datatype[:20], expected=f"{_PIXELS} or {_ENCODED}")


def _data(tensor: InputTensor, binary: bytes) -> Any:
    """The JSON's data, or the bytes behind it."""
    if "shared_memory_region" in tensor.parameters:
        raise HttpError("$.inputs[0].parameters", got="shared memory", expected="the data in the request")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None:
            raise HttpError("$.inputs[0].data: expected the values, or binary_data_size in the parameters")
        return tensor.data
    if size != len(binary) or isinstance(size, bool):
        raise HttpError("$.inputs[0].parameters.binary_data_size", got=size, expected=f"{len(binary)}, as sent")
    return binary


def _encoded(tensor: InputTensor, data: Any) -> bytes:
    if tensor.shape not in ((1,), (1, 1)):
        raise HttpError("$.inputs[0].shape", got=list(tensor.shape)[:8], expected="[1]: one picture for each request")
    if isinstance(data, bytes):
        if len(data) < 4 or struct.unpack_from("<I", data)[0] != len(data) - 4:
            raise HttpError("$.inputs[0]", got=f"{len(data)} bytes", expected="one element after its length as uint32")
        return data[4:]
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, str):
        raise HttpError("$.inputs[0].data", got=type(data).__name__, expected="one picture file in base64")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HttpError("$.inputs[0].data", got=str(error), expected="one picture file in base64") from error


def _pixels(tensor: InputTensor, data: Any) -> NDArray[np.uint8]:
    shape = tensor.shape[1:] if len(tensor.shape) == 4 else tensor.shape
    sizes = len(shape) == 3 and shape[2] == 3 and min(shape) > 0
    if not sizes or (len(tensor.shape) == 4 and tensor.shape[0] != 1):
        expected = "[1, height, width, 3]: one picture for each request"
        raise HttpError("$.inputs[0].shape", got=list(tensor.shape)[:8], expected=expected)
    pixels = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else _numbers(data)
    if pixels.size != shape[0] * shape[1] * shape[2]:
        raise HttpError("$.inputs[0]", got=f"{pixels.size} values", expected=f"{shape[0] * shape[1] * shape[2]}")
    return pixels.reshape(shape)


def _numbers(data: Any) -> NDArray[np.uint8]:
    try:
        wide = np.asarray(data)
    except ValueError as error:
        raise HttpError("$.inputs[0].data", got="lists of different lengths", expected="an array") from error
    if wide.dtype.kind != "i" or wide.size == 0 or wide.min() < 0 or wide.max() > 255:
        raise HttpError("$.inputs[0].data", got=f"{wide.dtype} values", expected="whole numbers, 0 to 255")
    return wide.astype(np.uint8)


class OutputTensor:
    """An output of an answer: its JSON, and its binary data where the client asked for that."""

    def __init__(self, name: str, values: NDArray[np.float32] | list[str], *, binary: bool) -> None:
        """``values`` is FP32 of any shape, or a row of texts."""
        self.data = b""
        shape: list[int] = list(np.shape(values))
        self.json: dict[str, object] = {"name": name, "datatype": "FP32", "shape": shape}
        if isinstance(values, list):
            self.json |= {"datatype": "BYTES", "shape": [1, *shape]}
        if not binary:
            self.json["data"] = values if isinstance(values, list) else values.ravel().tolist()
            return
        if isinstance(values, list):
            self.data = b"".join(struct.pack("<I", len(text)) + text for text in map(str.encode, values))
        else:
            self.data = values.astype("<f4").tobytes()
        self.json["parameters"] = {"binary_data_size": len(self.data)}
