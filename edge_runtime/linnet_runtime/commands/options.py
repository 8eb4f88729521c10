"""Options that several commands share, so that they have the same words everywhere."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from linnet_devices.api import LinnetError, OpenOptions

Function = TypeVar("Function", bound=Callable[..., None])

bundle_argument = click.argument("bundle", type=click.Path(path_type=Path))
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The run that made the bundle, for its validation photos, or a folder or table of labelled ones. Photos that "
    "it was trained on make top-1 look better than it is.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for machines instead of a table.")
json_lines_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Accepted, and without effect: the output is JSON anyway."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output.")
max_drop_option = click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="POINTS",
    help="Points of top-1 accuracy that an artifact may lose against the model that it came from: the lower end of the "
    "95 % interval of the paired difference must be above -POINTS. A limit of 1.0 needs about 400 photos.  "
    "[default: accuracy is shown, and no condition]",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of a CPU engine.  [default: one for each core, at most 4]"
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["int8", "float"]),
    help="Which of the bundle's models to run.  [default: int8 where there is one, else float]",
)


def page_renderer(module: str, function: str) -> Callable[..., str]:
    """The function that makes a page. Imported before the long work: most devices have no Jinja2.

    Raises:
        LinnetError: it is not installed.
    """
    try:
        render: Callable[..., str] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise LinnetError(
            "--page", got=f"no module {error.name}", expected="the extra [report]", fix="pip install 'linnet[report]'"
        ) from error
    return render


def _explain(_ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        logging.getLogger("linnet").setLevel(logging.INFO)


explain_option = click.option(
    "--explain", is_flag=True, expose_value=False, callback=_explain, help="Report which device is chosen, and why."
)


_SESSION_OPTIONS = (
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="The device to run on; see linnet devices. A list with commas: where one fails, the next takes over.",
    ),
    explain_option,
    click.option(
        "--allow-fallback", is_flag=True, help="Let the CPU run operations that the accelerator does not run."
    ),
    click.option(
        "--require-placement",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="SHARE",
        help="The smallest share of the model's operations that must run on the device, 0 to 1.",
    ),
    threads_option,
    precision_option,
)


def session_options(function: Function) -> Function:
    """Adds ``--device``, ``--explain`` and ``--precision``, and the other options as one ``options: OpenOptions``."""

    @functools.wraps(function)
    def command(*args: Any, threads: int | None, allow_fallback: bool, require_placement: float, **others: Any) -> None:
        function(*args, options=OpenOptions(threads, allow_fallback, require_placement), **others)

    for option in reversed(_SESSION_OPTIONS):
        command = option(command)
    return cast("Function", command)
