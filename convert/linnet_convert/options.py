"""The options for a model made elsewhere, as one ``flags: Flags``, and its photos."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from linnet_convert.facts import CHANNELS, Triple, triple
from linnet_convert.sources.signature import Flags

Function = TypeVar("Function", bound=Callable[..., None])


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
    click.option("--labels", type=click.Path(path_type=Path), help="Of a model file: its labels, one a line."),
    click.option(
        "--mean", callback=_triple, metavar="R,G,B", help="A model file's input is (pixel - mean) / std; pixel 0..255."
    ),
    click.option("--std", callback=_triple, metavar="R,G,B", help="See --mean. 1, with a mean of 0: the pixels."),
    click.option("--layout", type=click.Choice(["NHWC", "NCHW"]), help="Of a model file's input."),
    click.option("--color", type=click.Choice(["rgb", "bgr"]), help="The order of colours that a model file wants."),
    click.option(
        "--crop", type=click.Choice(["centre", "stretch"]), help="How a picture is fitted.  [default: centre]"
    ),
    click.option("--size", type=click.IntRange(min=1), help="Of a model file that takes any size: pixels a side."),
    click.option(
        "--data", type=click.Path(path_type=Path), help="Labelled photos to compare a model file on; noise without."
    ),
    click.option(
        "--calibrate", type=click.Path(path_type=Path), help="Training photos, for int8 from a float model file."
    ),
)


def model_options(function: Function) -> Function:
    """``--data`` and ``--calibrate``, and the others as one ``flags``."""
    names = [field.name for field in fields(Flags)]

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> None:
        function(*args, flags=Flags(**{name: options.pop(name) for name in names}), **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return cast("Function", command)
