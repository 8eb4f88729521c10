"""The options of ``linnet convert`` that state what a model made elsewhere does not, and those for its photos. Each has
the name of an argument of ``linnet_convert.convert``. Internal.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from linnet_convert.facts import CHANNELS, Triple, triple
from linnet_runtime.crops import CROPS

Function = TypeVar("Function", bound=Callable[..., Any])


def _triple(_ctx: click.Context, option: click.Parameter, text: str | None) -> Triple | None:
    if text is None:
        return None
    try:
        numbers = triple([float(number) for number in text.split(",")])
    except ValueError:
        numbers = None
    if numbers is None:
        raise click.BadParameter(f"got {text!r}, expected one number or {CHANNELS} with commas", param=option)
    return numbers


_OPTIONS = (
    click.option("--labels", type=click.Path(path_type=Path), help="The labels of a model file, one a line."),
    click.option(
        "--mean", callback=_triple, metavar="R,G,B", help="A model file's input is (pixel - mean) / std; pixel 0..255."
    ),
    click.option("--std", callback=_triple, metavar="R,G,B", help="See --mean. Mean 0 and std 1 are the pixels."),
    click.option("--layout", type=click.Choice(["NHWC", "NCHW"]), help="The order of a model file's input axes."),
    click.option("--color", type=click.Choice(["rgb", "bgr"]), help="The order of a model file's input channels."),
    click.option("--crop", type=click.Choice(CROPS), help="How a picture is fitted.  [default: centre]"),
    click.option(
        "--size", type=click.IntRange(min=1), help="Height and width in pixels, for a model file that takes any."
    ),
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="Labelled photos to compare a model file on.  [default: noise]",
    ),
    click.option(
        "--calibrate", type=click.Path(path_type=Path), help="Calibration photos, for int8 from a float model file."
    ),
)


def model_options(function: Function) -> Function:
    """Adds them to a command, as keyword arguments."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
