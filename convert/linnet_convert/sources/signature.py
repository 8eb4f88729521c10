"""How a model made elsewhere is used: by what its file states and what its user states."""

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
from linnet_devices.errors import Setting
from linnet_runtime.crops import Crop
from linnet_runtime.preprocess import Preprocess

_DTYPES = ("uint8", "int8", "float32")
# The ranges of pixels 0..255 in the customary normalizations: as they are, divided by 255, and about zero.
_PIXEL_RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
_LOWEST = {"uint8": 0, "int8": -128}
_RANGE_STEPS = 1.5  # a quantized range is rounded to its steps, and so is its zero point

# What a file may leave unstated, and the arguments of ``convert`` that state it.
_UNSTATED = {
    "labels": (Setting("labels", placeholder="FILE"),),
    "order of its axes": (Setting("layout", placeholder="NHWC|NCHW"),),
    "size": (Setting("size", placeholder="PIXELS"),),
    "normalization": (Setting("mean", placeholder="R,G,B"), Setting("std", placeholder="R,G,B")),
    "color order": (Setting("color", placeholder="rgb|bgr"),),
}


@dataclass(frozen=True)
class Stated:
    """What a user states about a model: arguments of ``linnet_convert.convert``; None for one that is not given."""

    labels: tuple[str, ...] | Path | None = None
    """A label for each output, or the file that has them."""
    mean: Triple | None = None
    """The input is (pixel - mean) / std."""
    std: Triple | None = None
    """See ``mean``."""
    layout: Layout | None = None
    """The order of the input's axes."""
    color: Literal["rgb", "bgr"] | None = None
    """The order of the input's channels."""
    crop: Crop | None = None
    """How a picture is fitted into the input."""
    size: int | None = None
    """Height and width in pixels, for an input that leaves them open."""

    @property
    def sides(self) -> OpenSides:
        """The dimensions that a file may leave open."""
        return OpenSides(size=self.size, layout=self.layout)

    def given(self) -> list[str]:
        """The names of those that are given."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


@dataclass(frozen=True)
class Signature:
    """What a bundle states about a model made elsewhere, apart from its files."""

    labels: tuple[str, ...]
    """One for each output."""
    preprocess: Preprocess
    """How a picture becomes the model's pixels."""
    input: TensorSpec
    """The model's input."""
    output: TensorSpec
    """The model's output."""

    @property
    def normalization(self) -> tuple[Triple, Triple]:
        """The mean and the standard deviation of its input, in real numbers."""
        return (self.input.mean or IDENTITY[0], self.input.std or IDENTITY[1])


def signature(what: str, facts: Facts, stated: Stated) -> Signature:
    """Puts together what the file states and what the user states; the user is right where both do.

    Raises:
        ConversionError: what neither states, all of it at once; or statements that contradict the file.
    """
    labels = _labels(what, facts, stated)
    layout = _layout(what, facts, stated)
    height, width = _size(what, facts, stated, layout or "NHWC")
    normalization = _normalization(what, facts, stated)
    color = stated.color or facts.metadata.color
    if labels is None or layout is None or height is None or width is None or normalization is None or color is None:
        found = dict(zip(_UNSTATED, (labels, layout, height and width, normalization, color), strict=True))
        missing = [words for words, value in found.items() if value is None]
        needed = tuple(setting for words in missing for setting in _UNSTATED[words])
        raise ConversionError(what, got=f"no {', '.join(missing)} in the file", fix=(needed,))
    crop = stated.crop or facts.metadata.crop or Preprocess(height=1, width=1).crop
    given, wanted = facts.input, facts.output
    mean, std = (None, None) if normalization == IDENTITY else normalization
    is_float = given.dtype == "float32"
    return Signature(
        labels=labels,
        preprocess=Preprocess(height=height, width=width, crop=crop),
        input=TensorSpec(
            name=given.name,
            shape=(1, height, width, CHANNELS) if layout == "NHWC" else (1, CHANNELS, height, width),
            dtype=_dtype(what, given.dtype),
            layout=layout,
            scale=None if is_float else given.scale,
            zero_point=None if is_float else given.zero_point,
            color=color,
            mean=mean,
            std=std,
        ),
        output=TensorSpec(
            name=wanted.name,
            shape=tuple(1 if side is None else side for side in wanted.shape),
            dtype=_dtype(what, wanted.dtype),
            layout="NC",
            scale=wanted.scale,
            zero_point=wanted.zero_point,
            values=facts.values,
        ),
    )


def _labels(what: str, facts: Facts, stated: Stated) -> tuple[str, ...] | None:
    """Raises ConversionError where there are more or fewer than the model has outputs."""
    outputs = facts.output.shape[-1] if facts.output.shape else None
    if isinstance(stated.labels, Path):  # how many there must be is not known before the input's size is
        return () if outputs is None else read_labels(stated.labels, outputs)
    fix = (_UNSTATED["labels"],)
    if stated.labels is None and facts.metadata.labels is None and facts.metadata.labels_error is not None:
        raise ConversionError(facts.metadata.labels_error, fix=fix)
    labels = stated.labels if isinstance(stated.labels, tuple) else facts.metadata.labels
    if labels is not None and outputs is not None and len(labels) != outputs:
        expected = f"{outputs}, one for each output of the model"
        raise ConversionError(f"labels of {what}", got=f"{len(labels)} labels", expected=expected, fix=fix)
    return labels


def _dtype(what: str, found: str) -> Literal["uint8", "int8", "float32"]:
    for dtype in _DTYPES:
        if found == dtype:
            return dtype  # type: ignore[return-value]  # mypy does not follow the loop
    fix = "the same model with float32 input and output"
    raise ConversionError(what, got=f"an input or output of {found}", expected=" or ".join(_DTYPES), fix=fix)


def _layout(what: str, facts: Facts, stated: Stated) -> Layout | None:
    shape = facts.input.shape
    possible, wanted = possible_layouts(shape), stated.layout or facts.metadata.layout
    if wanted is None:
        return only_layout(shape)
    if wanted not in possible:
        raise ConversionError(what, got=f"layout {wanted}", expected=f"{possible[0]}, from its shape {list(shape)}")
    return wanted


def _size(what: str, facts: Facts, stated: Stated, layout: str) -> tuple[int | None, int | None]:
    shape = facts.input.shape
    height, width = shape[1:3] if layout == "NHWC" else shape[2:4]
    if stated.size is not None and {height, width} - {None, stated.size}:
        raise ConversionError(what, got=f"size {stated.size}", expected=f"none: it is {height}x{width} pixels")
    return height or stated.size, width or stated.size


def _normalization(what: str, facts: Facts, stated: Stated) -> tuple[Triple, Triple] | None:
    """Mean and standard deviation; the identity where pixels go in as they are; None where neither states them."""
    if (stated.mean is None) != (stated.std is None):
        raise ConversionError("mean and std", got="one of them", expected="both or neither")
    if stated.std is not None and min(stated.std) <= 0:
        raise ConversionError(Setting("std"), got=stated.std, expected="more than 0")
    mean, std = (stated.mean, stated.std) if stated.mean else (facts.metadata.mean, facts.metadata.std)
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
        return IDENTITY  # bytes without a scale are pixels
    ends = [(_LOWEST[tensor.dtype] + step - tensor.zero_point) * tensor.scale for step in (0, 255)]
    as_pixels = any(
        all(abs(end - customary) <= _RANGE_STEPS * tensor.scale for end, customary in zip(ends, limits, strict=True))
        for limits in _PIXEL_RANGES
    )
    return IDENTITY if as_pixels else None


def _is_pixel(tensor: TensorFacts, mean: Triple, std: Triple) -> bool:
    """Whether a quantized input is the pixel itself, to within a step: then pixels go in without arithmetic."""
    if tensor.dtype not in _LOWEST or tensor.scale is None or tensor.zero_point is None:
        return False
    pixels = np.arange(256)[:, None]
    steps = (pixels - np.array(mean)) / np.array(std) / tensor.scale + tensor.zero_point - _LOWEST[tensor.dtype]
    return bool(np.abs(np.clip(steps, 0, 255) - pixels).max() <= 1)
