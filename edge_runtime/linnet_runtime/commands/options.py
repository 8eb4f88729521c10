"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., None])

bundle_argument = click.argument("bundle", type=click.Path(path_type=Path))
data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="A folder of labelled photos, or the run that made the bundle."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for machines instead of a table.")
json_lines_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Nothing changes: the output is lines of JSON already."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of a CPU engine.  [default: one a core, at most 4]"
)
precision_option = click.option(
    "--precision", type=click.Choice(["int8", "float"]), default="int8", show_default=True, help="Which model to use."
)


def session_options(function: Function) -> Function:
    """``--device``, ``--threads`` and ``--precision``."""
    device = click.option("--device", default="auto", show_default=True, help="Where to run; see linnet devices.")
    return device(threads_option(precision_option(function)))
