"""The program ``linnet``: a table of commands, each imported when it is used. Internal.

A user's mistake is one line on standard error and exit status 1; a wrong option is status 2, and so is what is wrong at
the start of ``run`` and ``serve``. Ctrl-C is 130, SIGTERM 143 and SIGHUP 129; they end ``run`` and ``serve`` with 0.
"""

from __future__ import annotations

from linnet_runtime.starting import catch_signals, release_signals

catch_signals()  # before the other imports, which take a while

import _thread
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pkgutil import resolve_name
from typing import Any

import click

from linnet_devices.errors import LinnetError, nearest, printable
from linnet_runtime.signals import Stopped, signals_stop
from linnet_runtime.standard_streams import (
    StandardErrorHandler,
    discard_unwritten_output,
    open_closed_streams,
    reader_has_gone,
)


@dataclass(frozen=True)
class Command:
    """A command of the program."""

    target: str
    """Its module and function, ``"module:function"``."""
    extra: str
    """The extra of the distribution that installs what it imports; empty where the base is enough."""
    summary: str
    """Its line in ``linnet --help``."""


COMMANDS = {
    "demo": Command(
        "linnet_runtime.commands.demo:demo", "all", "Try the whole toolkit on rendered photos, without a download."
    ),
    "data": Command("linnet_train.commands.data:data", "report", "Check a folder of photos before training on it."),
    "baseline": Command(
        "linnet_train.commands.baseline:baseline",
        "training",
        "Measure the accuracy of classical features, without a network.",
    ),
    "models": Command(
        "linnet_train.commands.models:models", "train", "List the networks: parameters, multiply-adds, int8 size."
    ),
    "train": Command("linnet_train.commands.train:train", "train", "Train a network on a folder of photos."),
    "convert": Command(
        "linnet_convert.cli:convert", "convert", "Convert a run or a model file to a bundle, and verify it."
    ),
    "export": Command(
        "linnet_convert.clients.command:export",
        "litert",
        "Write files for MediaPipe, Frigate or pycoral into a bundle.",
    ),
    "compile": Command(
        "linnet_convert.compilers.command:compile_for",
        "",
        "Compile a bundle's model with vendors' compilers.",
    ),
    "verify": Command("linnet_runtime.commands.verify:verify", "", "Check a bundle's hashes, canaries and parity."),
    "classify": Command("linnet_runtime.commands.classify:classify", "", "Label pictures."),
    "run": Command("linnet_runtime.commands.run:run", "", "Label the frames of a camera, a stream or a video, live."),
    "serve": Command(
        "linnet_runtime.commands.serve:serve", "serve", "Serve bundles over HTTP, with a live page of the cameras."
    ),
    "service": Command(
        "linnet_runtime.commands.service:service", "serve", "Install linnet serve as a systemd service."
    ),
    "bench": Command(
        "linnet_runtime.commands.bench:bench", "", "Measure a bundle's latency on several devices, side by side."
    ),
    "tune": Command(
        "linnet_runtime.commands.tune:tune",
        "",
        'Set the threshold above which a bundle answers "unknown".',
    ),
    "explain": Command(
        "linnet_runtime.commands.explain:explain", "", "Show what labels depend on: a page with a map of each picture."
    ),
    "stress": Command(
        "linnet_runtime.commands.stress:stress", "", "Measure accuracy under noise, blur, fog and other corruptions."
    ),
    "devices": Command(
        "linnet_runtime.commands.devices:devices",
        "",
        "List the devices: which are available, and how to fix the others.",
    ),
    "doctor": Command(
        "linnet_runtime.commands.doctor:doctor", "", "Find why a device does not work, and how to fix it."
    ),
}


@contextlib.contextmanager
def _extra_named(command: Callable[[], str | None]) -> Iterator[None]:
    """Turns a package that is not installed into a line with the extra that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = command()
        if name is None or not COMMANDS[name].extra or (error.name or "").startswith("linnet"):
            raise  # a fault in Linnet
        extra = COMMANDS[name].extra
        raise LinnetError(
            f"linnet {name}",
            got=f"no module {error.name}",
            expected=f"the extra [{extra}]",
            fix=f"pip install 'linnet[{extra}]'",
        ) from error


class LazyGroup(click.Group):
    """A group that imports a command only when it runs or shows its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        with _extra_named(lambda: name):
            command: click.Command = resolve_name(COMMANDS[name].target)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = nearest(args[0], COMMANDS)
            fix = f"linnet {near[0]}" if near else "linnet --help"
            expected = ", ".join(COMMANDS)
            raise click.UsageError(f"linnet {args[0]}: got no such command, expected one of {expected}. Fix: {fix}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            with _extra_named(lambda: ctx.invoked_subcommand):  # a command imports what is heavy when it runs
                return super().invoke(ctx)
        except BrokenPipeError as error:  # Click takes every one for a reader of the output that has gone
            if reader_has_gone():
                raise
            raise LinnetError(f"linnet {ctx.invoked_subcommand}", got="a broken pipe to another process") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("linnet"), prog_name="linnet")
def linnet() -> None:
    """From a folder of labelled photos to labels on a live camera."""


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Python only prints a ctrl-C that arrives in a finalizer, and TensorFlow has many: the work would go on."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        stop = unraisable.exc_value
        number = stop.signal if isinstance(stop, Stopped) else signal.SIGINT
        threading.Timer(0.05, _thread.interrupt_main, [number]).start()
    else:
        sys.__unraisablehook__(unraisable)


def main(arguments: list[str] | None = None) -> int:
    """Runs ``linnet`` with these arguments (None: those of the process) and returns the exit status."""
    open_closed_streams()
    if sys.unraisablehook is sys.__unraisablehook__:  # neither a debugger's nor a test's
        sys.unraisablehook = _interrupt_again
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, handlers=[StandardErrorHandler()])
    try:
        release_signals()
        arguments = sys.argv[1:] if arguments is None else arguments
        with signals_stop():
            linnet.main(args=arguments or ["--help"], prog_name="linnet", standalone_mode=False)
    except LinnetError as error:
        return _fail(error.line(options=True), 1)
    except click.ClickException as error:
        return _fail(_line_of(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as stop:
        said = stop.__cause__ or stop  # Click raises its Abort from what the command raised
        number = said.signal if isinstance(said, Stopped) else signal.SIGINT
        name = "ctrl-C" if number == signal.SIGINT else number.name
        return _fail(f"stopped by {name}" + (f". {said}" if said.args else ""), 128 + number)
    except SystemExit:
        if reader_has_gone():  # Click ends the program so: nothing is wrong
            return 0
        raise
    except OSError as error:
        place = "standard output" if discard_unwritten_output() else error.filename
        return _fail((f"{os.fsdecode(place)}: " if place else "") + (error.strerror or str(error)), 1)
    return 0


def _line_of(error: click.ClickException) -> str:
    """Click's error in the form of Linnet's: what, got, expected, fix."""
    message = error.format_message().rstrip(".")
    if not isinstance(error, click.UsageError) or error.ctx is None or ". Fix: " in message:
        return message
    if isinstance(error, click.BadParameter) and error.param and (expected := _expected(error.param.type)):
        name = error.param.get_error_hint(error.ctx).replace("'", "")
        value = error.message.partition(" is not ")[0]  # Click's sentence begins with it
        message = f"{name}: got {value}, expected {expected}"
    return message + (" " if message.endswith("?") else ". ") + f"Fix: {error.ctx.command_path} --help"


def _expected(kind: click.ParamType[Any]) -> str | None:
    """What an option of a type takes; None for a type whose errors are clear as Click words them."""
    if isinstance(kind, click.Choice):
        return "one of " + ", ".join(map(str, kind.choices))
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    least = [] if kind.min is None else [f"{'above' if kind.min_open else 'at least'} {kind.min:g}"]
    most = [] if kind.max is None else [f"{'below' if kind.max_open else 'at most'} {kind.max:g}"]
    return f"{number}, {' and '.join(least + most)}" if least or most else number


def _fail(line: str, status: int) -> int:
    click.echo(f"error: {printable(' '.join(line.split()))}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
