"""The options of ``linnet convert`` that say of a model what its file does not, and both together as its entry."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.facts import (
    CHANNELS,
    IDENTITY,
    Facts,
    Layout,
    OpenSides,
    TensorFacts,
    Triple,
    only_layout,
    possible_layouts,
)
from linnet_convert.metadata.labels import read_labels
from linnet_devices.api import TensorSpec
from linnet_runtime.preprocess import Preprocess

_DTYPES = ("uint8", "int8", "float32")
# The ranges of pixels 0..255 in the customary normalizations: as they are, divided by 255, and about zero.
_PIXEL_RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
_LOWEST = {"uint8": 0, "int8": -128}
_RANGE_STEPS = 1.5  # a quantised range is rounded to its steps, and its zero point too


@dataclass(frozen=True)
class Flags:
    """What a user says of a model: the options of the same names; None where one is not given."""

    labels: tuple[str, ...] | Path | None = None
    mean: Triple | None = None
    std: Triple | None = None
    layout: Layout | None = None
    color: Literal["rgb", "bgr"] | None = None
    crop: Literal["centre", "stretch"] | None = None
    size: int | None = None

    @property
    def sides(self) -> OpenSides:
        """What they say of the dimensions that a file leaves open."""
        return OpenSides(size=self.size, layout=self.layout)

    def given(self) -> list[str]:
        """The names of those that are given."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


@dataclass(frozen=True)
class Signature:
    """How a model made elsewhere is used: all that a bundle says of it apart from its files."""

    labels: tuple[str, ...]
    preprocess: Preprocess
    input: TensorSpec
    output: TensorSpec

    @property
    def normalization(self) -> tuple[Triple, Triple]:
        """The mean and the standard deviation that its input wants, in real numbers."""
        return (self.input.mean or IDENTITY[0], self.input.std or IDENTITY[1])


def signature(what: str, facts: Facts, flags: Flags) -> Signature:
    """Puts together what the file says and what the user says; the user is right where both do.

    Raises:
        ConversionError: what nobody says, all of it at once; or flags that contradict the file.
    """
    missing: dict[str, str] = {}  # what the file does not state, by the argument that does
    labels, outputs = facts.metadata.labels, facts.output.shape[-1] if facts.output.shape else None
    if isinstance(flags.labels, Path) and outputs is not None:
        labels = read_labels(flags.labels, outputs)
    elif isinstance(flags.labels, tuple):
        labels = flags.labels
    elif labels is None and facts.metadata.labels_error is not None:
        raise ConversionError(facts.metadata.labels_error, arguments={"labels": ...})
    elif labels is None and flags.labels is None:
        missing["labels"] = "labels"
    if labels is not None and outputs is not None and len(labels) != outputs:
        raise ConversionError(
            f"labels of {what}",
            got=f"{len(labels)} labels",
            expected=f"{outputs}, one for each output of the model",
            arguments={"labels": ...},
        )
    layout = _layout(what, facts, flags)
    if layout is None:
        missing["layout"] = "order of its axes"
    height, width = _size(what, facts, flags, layout or "NHWC")
    if height is None or width is None:
        missing["size"] = "size"
    normalization = _normalization(what, facts, flags)
    if normalization is None:
        missing |= {"mean": "normalization", "std": ""}
    color = flags.color or facts.metadata.color
    if color is None:
        missing["color"] = "color order"
    if labels is None or layout is None or height is None or width is None or normalization is None or color is None:
        words = ", ".join(filter(None, missing.values()))
        raise ConversionError(what, got=f"no {words} in the file", arguments=dict.fromkeys(missing, ...))
    shape = (1, height, width, CHANNELS) if layout == "NHWC" else (1, CHANNELS, height, width)
    mean, std = (None, None) if normalization == IDENTITY else normalization
    is_float = facts.input.dtype == "float32"
    return Signature(
        labels=labels,
        preprocess=Preprocess(
            height=height, width=width, crop=flags.crop or facts.metadata.crop or Preprocess(height=1, width=1).crop
        ),
        input=TensorSpec(
            name=facts.input.name,
            shape=shape,
            dtype=_dtype(what, facts.input.dtype),
            layout=layout,
            scale=None if is_float else facts.input.scale,
            zero_point=None if is_float else facts.input.zero_point,
            color=color,
            mean=mean,
            std=std,
        ),
        output=TensorSpec(
            name=facts.output.name,
            shape=tuple(1 if side is None else side for side in facts.output.shape),
            dtype=_dtype(what, facts.output.dtype),
            layout="NC",
            scale=facts.output.scale,
            zero_point=facts.output.zero_point,
            values=facts.values,
        ),
    )


def _dtype(what: str, found: str) -> Literal["uint8", "int8", "float32"]:
    for dtype in _DTYPES:
        if found == dtype:
            return dtype  # type: ignore[return-value]  # mypy does not follow the loop
    raise ConversionError(what, got=f"a tensor of {found}", expected=" or ".join(_DTYPES))


def _layout(what: str, facts: Facts, flags: Flags) -> Layout | None:
    shape = facts.input.shape
    possible, wanted = possible_layouts(shape), flags.layout or facts.metadata.layout
    if wanted is None:
        return only_layout(shape)
    if wanted not in possible:
        raise ConversionError(what, got=f"layout {wanted}", expected=f"{possible[0]}, from its shape {list(shape)}")
    return wanted


def _size(what: str, facts: Facts, flags: Flags, layout: str) -> tuple[int | None, int | None]:
    shape = facts.input.shape
    height, width = shape[1:3] if layout == "NHWC" else shape[2:4]
    if flags.size is not None and {height, width} - {None, flags.size}:
        raise ConversionError(what, got=f"size {flags.size}", expected=f"none: it is {height}x{width} pixels")
    return height or flags.size, width or flags.size


def _normalization(what: str, facts: Facts, flags: Flags) -> tuple[Triple, Triple] | None:
    """Mean and standard deviation; the identity where a pixel goes in as it is."""
    if (flags.mean is None) != (flags.std is None):
        raise ConversionError("mean and std", got="one of them", expected="both or neither")
    if flags.std is not None and min(flags.std) <= 0:
        raise ConversionError("std", got=flags.std, expected="more than 0")
    mean, std = (flags.mean, flags.std) if flags.mean else (facts.metadata.mean, facts.metadata.std)
    tensor = facts.input
    if mean is not None and std is not None:
        if (mean, std) == IDENTITY or _is_pixel(tensor, mean, std):
            return IDENTITY
        if tensor.dtype != "float32" and tensor.scale is None:
            raise ConversionError(what, got=f"mean and std for a {tensor.dtype} input without a scale")
        return mean, std
    if tensor.dtype == "float32":
        return None
    if tensor.scale is None or tensor.zero_point is None:
        return IDENTITY  # bytes with no other meaning are pixels
    ends = [(_LOWEST[tensor.dtype] + step - tensor.zero_point) * tensor.scale for step in (0, 255)]
    as_pixels = any(
        all(abs(end - customary) <= _RANGE_STEPS * tensor.scale for end, customary in zip(ends, limits, strict=True))
        for limits in _PIXEL_RANGES
    )
    return IDENTITY if as_pixels else None


def _is_pixel(tensor: TensorFacts, mean: Triple, std: Triple) -> bool:
    """Whether a quantised input is, to a step, the pixel itself: then it is meant to be, and takes no arithmetic."""
    if tensor.dtype not in _LOWEST or tensor.scale is None or tensor.zero_point is None:
        return False
    pixels = np.arange(256)[:, None]
    steps = (pixels - np.array(mean)) / np.array(std) / tensor.scale + tensor.zero_point - _LOWEST[tensor.dtype]
    return bool(np.abs(np.clip(steps, 0, 255) - pixels).max() <= 1)
