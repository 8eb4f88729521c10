"""What a model file says of itself, in terms that are the same for every format."""

from __future__ import annotations

from typing import Literal

import msgspec

from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Precision

Kind = Literal["tflite", "onnx", "openvino", "keras", "saved_model"]
FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
Layout = Literal["NHWC", "NCHW"]
Values = Literal["logits", "probabilities", "independent_probabilities"]
Triple = tuple[float, float, float]
IDENTITY: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and std of pixels that go in as they are
PICTURE_RANK, CHANNELS = 4, 3
_FEWEST_CLASSES = 2
_CLASSIFIER = "a classifier: one picture of three colors in, [1, classes] out"


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
    labels_error: str | None = None
    """Why the labels in the file cannot be used, in one line; None where they can, or there are none."""
    mean: Triple | None = None
    std: Triple | None = None
    color: Literal["rgb", "bgr"] | None = None
    crop: Literal["centre", "stretch"] | None = None
    layout: Layout | None = None


class OpenSides(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of the dimensions that a file leaves open; None for what they do not say."""

    size: int | None = None
    """Height and width in pixels."""
    layout: Layout | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A model made elsewhere, with the dimensions that it leaves open closed as its user says."""

    kind: Kind
    precision: Precision
    """"int8" where its convolutions are quantized, else what its weights are stored in."""
    input: TensorFacts
    """Its one input; a side is None where neither the file nor the user says it."""
    output: TensorFacts
    """Its one output; its sides are None where one of the input is."""
    values: Values
    """What the output is: "probabilities" behind a softmax, "independent_probabilities" behind a sigmoid."""
    metadata: Metadata = Metadata()
    requires: dict[str, str] = {}
    """See ``Artifact.requires``."""
    dynamic_range: bool = False
    """Whether only its weights are quantized, and its activations anew for each picture."""
    int16: bool = False
    """Whether its activations are int16 and its weights int8, which only TensorFlow Lite computes."""

    def warnings(self) -> tuple[str, ...]:
        """What a user should know before relying on the model, each in one line."""
        found = []
        if self.dynamic_range:
            found.append(
                "dynamic range: only its weights are integers, and accelerators do not run it. "
                "For int8, convert the float model with calibration photos"
            )
        if self.int16:
            found.append("int16 activations: only TensorFlow Lite computes them, so it becomes no other format")
        return tuple(found)


def close_sides(shape: tuple[int | None, ...], sides: OpenSides) -> tuple[int | None, ...]:
    """The shape of an input as a bundle has it: one picture, three colors, and the user's size where it is open.

    Args:
        shape: of the file's input; None for a side that is open.
        sides: what the user says of those.

    Returns:
        The shape; None remains where nobody says a side. What is no picture stays as it is.
    """
    layout = sides.layout or only_layout(shape)
    if len(shape) != PICTURE_RANK or layout not in possible_layouts(shape):
        return shape
    wanted = (1, sides.size, sides.size, CHANNELS) if layout == "NHWC" else (1, CHANNELS, sides.size, sides.size)
    return tuple(given if side is None else side for side, given in zip(shape, wanted, strict=True))


def possible_layouts(shape: tuple[int | None, ...]) -> tuple[Layout, ...]:
    """The layouts whose axis of channels has three of them, or is open and no other has."""
    channels: dict[Layout, int | None] = {"NHWC": shape[3], "NCHW": shape[1]}
    certain = tuple(layout for layout, side in channels.items() if side == CHANNELS)
    return certain or tuple(layout for layout, side in channels.items() if side is None)


def only_layout(shape: tuple[int | None, ...]) -> Layout | None:
    """The layout of a picture's shape; None where several are possible."""
    possible = possible_layouts(shape) if len(shape) == PICTURE_RANK else ()
    return possible[0] if len(possible) == 1 else None


def check_picture(what: str, inputs: list[TensorFacts], outputs: list[TensorFacts]) -> tuple[TensorFacts, TensorFacts]:
    """The one input and the one output of a model that takes one picture.

    Raises:
        ConversionError: the model does something else, and what its tensors are.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        got = f"{len(inputs)} inputs and {len(outputs)} outputs ({_shapes(inputs)} to {_shapes(outputs)})"
        raise ConversionError(what, got=got, expected=_CLASSIFIER)
    (given,), (wanted,) = inputs, outputs
    if len(given.shape) != PICTURE_RANK or given.shape[0] not in (1, None) or not possible_layouts(given.shape):
        raise _no_classifier(what, given, wanted)
    return given, wanted


def check_classes(what: str, given: TensorFacts, wanted: TensorFacts) -> None:
    """Raises ConversionError where the output of a model, all of whose sides are known, is no row of classes."""
    *others, classes = wanted.shape or (None,)
    if not others or set(others) != {1} or (classes or 0) < _FEWEST_CLASSES:
        raise _no_classifier(what, given, wanted)


def _no_classifier(what: str, given: TensorFacts, wanted: TensorFacts) -> ConversionError:
    got = f"an input of {_shapes([given])} and an output of {_shapes([wanted])}"
    fix = None
    if wanted.shape and all(side in (1, None) for side in wanted.shape):
        fix = "a model with an output for each label: two, and a softmax, for two labels"
    return ConversionError(what, got=got, expected=_CLASSIFIER, fix=fix)


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
