"""What a model file states about itself, in terms that are the same for every format. Internal."""

from __future__ import annotations

from typing import Literal

import msgspec

from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Precision
from linnet_runtime.crops import Crop

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
    """An input or an output as the file has it."""

    name: str
    """Its name in the file."""
    shape: tuple[int | None, ...]
    """None for a dimension that the file leaves open."""
    dtype: str
    """NumPy's name of the data type: "uint8", "float32"."""
    scale: float | None = None
    """The quantization step; None in float."""
    zero_point: int | None = None
    """The integer that means 0; None in float."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the file's metadata states; None for what it does not."""

    labels: tuple[str, ...] | None = None
    """A label for each output."""
    labels_error: str | None = None
    """Why the labels in the file cannot be used, in one line; None where they can, or there are none."""
    mean: Triple | None = None
    """As ``TensorSpec.mean``; 0, with a ``std`` of 1, means that pixels go in as they are."""
    std: Triple | None = None
    """As ``TensorSpec.std``."""
    color: Literal["rgb", "bgr"] | None = None
    """The order of the input's channels."""
    crop: Crop | None = None
    """How a picture is fitted into the input."""
    layout: Layout | None = None
    """The order of the input's axes."""


class OpenSides(msgspec.Struct, frozen=True, kw_only=True):
    """What a user states about the dimensions that a file leaves open; None for what is not stated."""

    size: int | None = None
    """Height and width in pixels."""
    layout: Layout | None = None
    """The order of the input's axes."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A model made elsewhere; the dimensions that its file leaves open are closed as its user states."""

    kind: Kind
    """The kind of the file."""
    precision: Precision
    """"int8" where its convolutions are quantized, else what its weights are stored in."""
    input: TensorFacts
    """Its one input; a dimension is None where neither the file nor the user states it."""
    output: TensorFacts
    """Its one output; its dimensions are None where one of the input is."""
    values: Values
    """What the output is: "probabilities" behind a softmax, "independent_probabilities" behind a sigmoid."""
    metadata: Metadata = Metadata()
    """What its metadata states."""
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
        shape: of the file's input; None for a dimension that is open.
        sides: what the user states about those.

    Returns:
        The shape; None stays where a dimension is not stated. A shape that is no picture's stays as it is.
    """
    layout = sides.layout or only_layout(shape)
    if len(shape) != PICTURE_RANK or layout not in possible_layouts(shape):
        return shape
    wanted = (1, sides.size, sides.size, CHANNELS) if layout == "NHWC" else (1, CHANNELS, sides.size, sides.size)
    return tuple(given if side is None else side for side, given in zip(shape, wanted, strict=True))


def possible_layouts(shape: tuple[int | None, ...]) -> tuple[Layout, ...]:
    """The layouts whose channel axis is 3; if there is none, those whose channel axis is open."""
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
        ConversionError: the model does something else; the error states its tensors.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        got = f"{len(inputs)} inputs and {len(outputs)} outputs ({_shapes(inputs)} to {_shapes(outputs)})"
        raise ConversionError(what, got=got, expected=_CLASSIFIER)
    (given,), (wanted,) = inputs, outputs
    if len(given.shape) != PICTURE_RANK or not possible_layouts(given.shape):
        raise _no_classifier(what, given, wanted)
    if given.shape[0] not in (1, None):
        got = f"a batch of {given.shape[0]} pictures"
        raise ConversionError(
            what, got=got, expected="one picture at a time", fix="export the model with a batch of 1, or an open one"
        )
    return given, wanted


def check_classes(what: str, given: TensorFacts, wanted: TensorFacts) -> None:
    """Raises ConversionError where the output of a model, whose dimensions are known, is not one row of classes."""
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
