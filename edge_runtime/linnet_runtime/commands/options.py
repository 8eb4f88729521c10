"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from linnet_devices.api import OpenOptions

Function = TypeVar("Function", bound=Callable[..., None])

bundle_argument = click.argument("bundle", type=click.Path(path_type=Path))
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The run that made the bundle, for its validation photos, or a folder or table of labelled ones. Photos that "
    "it was trained on flatter top-1.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for machines instead of a table.")
json_lines_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Nothing changes: the output is lines of JSON already."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
max_drop_option = click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="POINTS",
    help="Points of top-1 accuracy that an artifact may lose against the model that it came from: the lower end of the "
    "95 % interval of the paired difference must be above -POINTS. It takes about 400 photos to show it of 1.0.  "
    "[default: accuracy is shown and not a gate]",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of a CPU engine.  [default: one a core, at most 4]"
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["int8", "float"]),
    help="Which of the bundle's models to run.  [default: int8 where there is one, else float]",
)


def _explain(_ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        logging.getLogger("linnet").setLevel(logging.INFO)


explain_option = click.option(
    "--explain", is_flag=True, expose_value=False, callback=_explain, help="Say why which device is taken."
)


_SESSION_OPTIONS = (
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="Where to run; see linnet devices. Several with commas: where one fails, the next goes on.",
    ),
    explain_option,
    click.option("--allow-fallback", is_flag=True, help="Let the CPU run what the accelerator does not take."),
    click.option(
        "--require-placement",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="SHARE",
        help="The least share of the model's operations that has to run on the device, 0 to 1.",
    ),
    threads_option,
    precision_option,
)


def session_options(function: Function) -> Function:
    """``--device``, ``--explain`` and ``--precision``, and the others as one ``options: OpenOptions``."""

    @functools.wraps(function)
    def command(*args: Any, threads: int | None, allow_fallback: bool, require_placement: float, **others: Any) -> None:
        function(*args, options=OpenOptions(threads, allow_fallback, require_placement), **others)

    for option in reversed(_SESSION_OPTIONS):
        command = option(command)
    return cast("Function", command)
