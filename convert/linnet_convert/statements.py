"""What a user of ``convert`` states about a model that does not state it itself. Internal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.facts import CHANNELS, Triple, triple
from linnet_convert.sources.signature import Stated
from linnet_devices.errors import Setting
from linnet_runtime.crops import CROPS, Crop


class Statements(TypedDict, total=False):
    """Keyword arguments of ``convert``. Where the model file states the same thing, the argument wins."""

    labels: Sequence[str] | Path | None
    """A label for each output, in order, or the path of a file with one a line."""
    mean: float | Triple | None
    """The model's input is (pixel - mean) / std, where a pixel is 0..255; one number, or one for each of red, green and
    blue. A model that takes pixels as they are has mean 0 and std 1."""
    std: float | Triple | None
    """See ``mean``."""
    layout: Literal["NHWC", "NCHW"] | None
    """The order of the input's axes."""
    color: Literal["rgb", "bgr"] | None
    """The order of the input's channels."""
    crop: Crop | None
    """How a picture is fitted into the input: its centre, stretched, or padded with a border. The default is
    "centre"."""
    size: int | None
    """Height and width in pixels, for a model that leaves them open."""


def to_stated(
    *,
    labels: Sequence[str] | Path | None = None,
    mean: float | Triple | None = None,
    std: float | Triple | None = None,
    layout: Literal["NHWC", "NCHW"] | None = None,
    color: Literal["rgb", "bgr"] | None = None,
    crop: Crop | None = None,
    size: int | None = None,
) -> Stated:
    """The statements, checked. Raises ConversionError for a value that cannot be."""
    choices = {"layout": (layout, ("NHWC", "NCHW")), "color": (color, ("rgb", "bgr")), "crop": (crop, CROPS)}
    for name, (value, known) in choices.items():
        if value is not None and value not in known:
            raise ConversionError(Setting(name), got=repr(value), expected=" or ".join(known))
    return Stated(
        labels=_labels(labels),
        mean=_triple("mean", mean),
        std=_triple("std", std),
        layout=layout,
        color=color,
        crop=crop,
        size=size,
    )


def _labels(labels: Sequence[str] | Path | None) -> tuple[str, ...] | Path | None:
    if isinstance(labels, (str, os.PathLike)):
        return Path(labels)
    return None if labels is None else tuple(labels)


def _triple(argument: str, numbers: float | Sequence[float] | None) -> Triple | None:
    if numbers is None:
        return None
    found = triple([float(number) for number in np.atleast_1d(numbers)])
    if found is None:
        raise ConversionError(Setting(argument), got=numbers, expected=f"one number, or {CHANNELS}")
    return found
