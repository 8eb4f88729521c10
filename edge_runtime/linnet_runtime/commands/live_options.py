"""The options that are keys of a live configuration: ``run`` and ``serve`` have them in the same words."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from linnet_devices.api import DeviceError, LinnetError
from linnet_runtime.bundle import BundleError
from linnet_runtime.commands.options import Function, explain_option
from linnet_runtime.decisions.settings import parse_region
from linnet_runtime.live_config import FLAGS, LiveConfig, read_live_tables, to_file, to_live_config
from linnet_runtime.toml_settings import Table, merge, parse_setting

_DEFAULTS = LiveConfig()


class SettingOption(click.Option):
    """An option that sets a key of the configuration."""

    def __init__(self, *arguments: Any, keys: tuple[str, ...], **attributes: Any) -> None:
        """``keys`` are the tables and the key; an option of ``camera`` holds for every camera."""
        super().__init__(*arguments, **attributes)
        self.keys = keys


class _Mistake(click.ClickException):
    exit_code = 2


class _Region(click.ParamType):  # type: ignore[type-arg]  # older releases of Click have no argument
    name = "X,Y,W,H"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return {"rectangle": list(parse_region(value).rectangle or ())}
        except LinnetError as error:
            self.fail(str(error), param, ctx)


def setting_option(flag: str, *keys: str, **attributes: Any) -> Callable[[Function], Function]:
    """An option for the key of the configuration at ``keys``: a decorator of a command that is ``configured``."""
    return click.option(flag, cls=SettingOption, keys=keys, **attributes)


_OPTIONS = (
    click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        help="A TOML file. Flags override it.  [docs/live.md]",
    ),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a key of the configuration that has no flag, such as decision.agree=3. May be repeated.",
    ),
    click.option("--print-config", is_flag=True, help="Print the configuration that the options amount to, and end."),
    setting_option(
        "--source",
        "camera",
        "source",
        help="A camera's number, rtsp://, http://, picamera2://0, gst:, a file, a folder, watch:FOLDER or synthetic:",
    ),
    setting_option(
        "--policy",
        "camera",
        "policy",
        type=click.Choice(["newest", "every"]),
        help="Classify the newest frame, or every frame.  [default: newest of a live source, every of a file]",
    ),
    setting_option(
        "--max-age",
        "camera",
        "max_age_ms",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MS",
        help="Drop frames and results that are older, and count them.",
    ),
    setting_option(
        "--interval",
        "camera",
        "when",
        "interval_s",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Classify a frame every so many seconds.  [default: every frame]",
    ),
    setting_option(
        "--region",
        "camera",
        "region",
        type=_Region(),
        multiple=True,
        help="Classify a part of the frame, in shares of its width and height. Several are named 1, 2 and so on.",
    ),
    setting_option(
        "--threshold",
        "camera",
        "decision",
        "threshold",
        type=click.FloatRange(0, 1),
        metavar="P",
        help='The label is "unknown" where its probability is lower.  [default: 0]',
    ),
    setting_option(
        "--mqtt",
        "mqtt",
        "url",
        metavar="URL",
        help="Publish to a broker: mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS.",
    ),
    setting_option(
        "--metrics", "metrics", "port", type=click.IntRange(1, 65535), metavar="PORT", help="Metrics for Prometheus."
    ),
    setting_option(
        "--device",
        "device",
        default=_DEFAULTS.device,
        show_default=True,
        help="The device to run on; see linnet devices. A list with commas: where one fails, the next takes over.",
    ),
    explain_option,
    setting_option(
        "--allow-fallback",
        "allow_fallback",
        is_flag=True,
        help="Let the CPU run operations that the accelerator does not run.",
    ),
    setting_option(
        "--require-placement",
        "require_placement",
        type=click.FloatRange(0, 1),
        default=_DEFAULTS.require_placement,
        metavar="SHARE",
        help="The smallest share of the model's operations that must run on the device, 0 to 1.",
    ),
    setting_option(
        "--threads",
        "threads",
        type=click.IntRange(min=1),
        help="Threads of a CPU engine.  [default: one for each core, at most 4]",
    ),
    setting_option(
        "--precision",
        "precision",
        type=click.Choice(["int8", "float"]),
        help="Which of the bundle's models to run.  [default: int8 where there is one, else float]",
    ),
    setting_option(
        "--deadline-ms",
        "deadline_ms",
        type=click.FloatRange(min=0, min_open=True),
        default=_DEFAULTS.deadline_ms,
        show_default=True,
        help="The longest inference of an accelerator. Ten in a row that take more than half of it are too slow.",
    ),
    setting_option(
        "--canary-every",
        "canary_every",
        type=click.IntRange(min=1),
        metavar="FRAMES",
        help="Check an accelerator with a canary photo every so many frames.  [default: 1 % of the time]",
    ),
)


def configured(function: Function) -> Function:
    """Adds ``--config``, ``--set``, ``--print-config`` and the options of a live configuration. The command receives
    them as one ``config: LiveConfig``, and does not run with ``--print-config``.
    """

    @functools.wraps(function)
    def command(
        *args: Any, config_path: Path | None, changes: tuple[str, ...], print_config: bool, **others: Any
    ) -> None:
        with mistakes_at_start():
            config = _config(config_path, _given(others), changes)
        if print_config:
            click.echo(to_file(config), nl=False)
        else:
            function(*args, config=config, **others)

    for option in reversed(_OPTIONS):
        command = option(command)
    return cast("Function", command)


@contextlib.contextmanager
def mistakes_at_start() -> Iterator[None]:
    """Gives a mistake at the start of a live run exit status 2. A bundle or a device keeps its own."""
    try:
        yield
    except (BundleError, DeviceError):
        raise
    except LinnetError as error:
        raise _Mistake(error.line(options=True)) from error


def _given(values: dict[str, Any]) -> Table:
    """Takes the values of the setting options out of a command's. Returns the tables of those that the user gave."""
    context = click.get_current_context()
    tables: Table = {}
    for option in context.command.params:
        if isinstance(option, SettingOption):
            value: Any = values.pop(str(option.name))
            if context.get_parameter_source(str(option.name)) is ParameterSource.DEFAULT:
                continue
            if isinstance(option.type, _Region):
                several = len(value) > 1
                value = [{"name": str(i), **region} if several else region for i, region in enumerate(value, start=1)]
            for key in reversed(option.keys):
                value = {key: value}
            tables = merge(tables, value)
    return tables


def _config(path: Path | None, given: Table, changes: tuple[str, ...]) -> LiveConfig:
    """The file's configuration, overridden by the options, and these by ``--set``."""
    tables, origin = ({}, FLAGS) if path is None else read_live_tables(path)
    cameras = tables.get("camera")
    if isinstance(cameras, list) and len(cameras) > 1 and "source" in given.get("camera", {}):
        raise click.UsageError(f"--source, but {path} has {len(cameras)} cameras")
    for change in (given, *map(parse_setting, changes)):
        tables = merge(tables, change)
    if isinstance(tables.get("camera"), dict):
        tables["camera"] = [tables["camera"]]
    return to_live_config(tables, origin)
