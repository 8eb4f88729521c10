"""What a model file says of itself, in terms that are the same for every format."""

from __future__ import annotations

from typing import Literal

import msgspec

from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Precision

Kind = Literal["tflite", "onnx", "openvino", "keras", "saved_model"]
FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
Triple = tuple[float, float, float]
IDENTITY: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and std of pixels that go in as they are
PICTURE_RANK, CHANNELS = 4, 3
_FEWEST_CLASSES = 2


class TensorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An input or an output as the file has it: a side is None where the file leaves it open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says for its readers, None for what it does not say.

    ``mean`` and ``std`` are those of ``TensorSpec``; the identity, 0 and 1, is that the pixels go in as they are.
    """

    labels: tuple[str, ...] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    color: Literal["rgb", "bgr"] | None = None
    crop: Literal["centre", "stretch"] | None = None
    layout: Literal["NHWC", "NCHW"] | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A model made elsewhere.

    Args:
        kind: what it is.
        precision: "int8" where its convolutions are quantised, else what its weights are stored in.
        input: its one input.
        output: its one output.
        softmax: whether that is probabilities.
        metadata: what it says for its readers.
        requires: see ``Artifact.requires``.
    """

    kind: Kind
    precision: Precision
    input: TensorFacts
    output: TensorFacts
    softmax: bool
    metadata: Metadata = Metadata()
    requires: dict[str, str] = {}


def check_task(what: str, inputs: list[TensorFacts], outputs: list[TensorFacts]) -> tuple[TensorFacts, TensorFacts]:
    """The one input and the one output of a classifier of pictures.

    Raises:
        ConversionError: the model does something else, and what its tensors are.
    """
    expected = "a classifier: one picture of three colours in, [1, classes] out"
    if len(inputs) != 1 or len(outputs) != 1:
        got = f"{len(inputs)} inputs and {len(outputs)} outputs ({_shapes(inputs)} to {_shapes(outputs)})"
        raise ConversionError(what, got=got, expected=expected)
    (given,), (wanted,) = inputs, outputs
    is_picture = len(given.shape) == PICTURE_RANK and CHANNELS in (given.shape[1], given.shape[3])
    *batch, classes = wanted.shape or (None,)
    is_classes = bool(batch) and set(batch) <= {1, None} and classes is not None and classes >= _FEWEST_CLASSES
    if not is_picture or not is_classes or given.shape[0] not in (1, None):
        got = f"an input of {_shapes(inputs)} and an output of {_shapes(outputs)}"
        raise ConversionError(what, got=got, expected=expected)
    return given, wanted


def _shapes(tensors: list[TensorFacts]) -> str:
    return ", ".join(
        f"{tensor.dtype} [{', '.join('?' if side is None else str(side) for side in tensor.shape)}]"
        for tensor in tensors[:4]
    ) + (", ..." if len(tensors) > 4 else "")


def triple(numbers: list[float]) -> Triple | None:
    """Three numbers, or one for all three channels; None for any other count."""
    if len(numbers) == 1:
        numbers = numbers * CHANNELS
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == CHANNELS else None
