"""The configuration of a live run: devices, cameras, decisions and sinks. ``docs/live.md`` has a table of its keys.
Internal.

Each room owns the struct of its table: decisions/settings.py, sinks/NAME.py, server/settings.py.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from linnet_devices.api import MOST_THREADS, OpenOptions
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.failover.checked import Limits
from linnet_runtime.pipeline.camera import CameraSettings
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.sessions import PrecisionChoice
from linnet_runtime.sinks.settings import SinkSettings
from linnet_runtime.toml_settings import Origin, SettingsError, Table, read_toml, to_struct, to_toml

_Milliseconds = Annotated[float, Meta(gt=0, le=1e9)]
_Count = Annotated[int, Meta(ge=1)]
_Threads = Annotated[int, Meta(ge=1, le=MOST_THREADS)]


class CameraConfig(CameraSettings, frozen=True):
    """``[[camera]]``: a source, and which of its frames become results."""

    source: str
    """Where its frames come from: a camera's number, an address, a file, a folder or ``synthetic:``."""


class LiveConfig(SinkSettings, frozen=True):
    """A whole configuration file. Its tables ``[mqtt]``, ``[metrics]`` and so on are those of ``SinkSettings``."""

    device: str = "auto"
    """The device to run on; several with commas, best first."""
    precision: PrecisionChoice | None = None
    """``"int8"`` or ``"float"``. Not stated: int8 where the bundle has it."""
    threads: _Threads | None = None
    """Threads of a CPU engine. Not stated: one for each core, at most 4."""
    allow_fallback: bool = False
    """Let the CPU run operations that the accelerator does not run."""
    require_placement: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The smallest share of the model's operations that must run on the device."""
    deadline_ms: _Milliseconds = 1e3 * Limits.deadline_s
    """The longest inference of an accelerator."""
    canary_every: _Count | None = None
    """Check an accelerator with a canary photo every so many frames. Not stated: as often as 1 % of its
    time allows."""
    camera: tuple[CameraConfig, ...] = ()
    """The cameras."""
    decision: DecisionSettings = DecisionSettings()
    """What every camera's ``decision`` begins with."""
    serve: ServeSettings = ServeSettings()
    """How ``linnet serve`` answers. ``linnet run`` ignores it."""

    def open_options(self) -> OpenOptions:
        return OpenOptions(self.threads, self.allow_fallback, self.require_placement)

    def limits(self) -> Limits:
        return Limits(deadline_s=self.deadline_ms / 1e3, canary_frames=self.canary_every)


def read_live_tables(path: Path) -> tuple[Table, Origin]:
    """The tables of a configuration file, and what errors say of its lines. Raises SettingsError."""
    tables, text = read_toml(path, expected="a configuration: a TOML file")
    return tables, Origin(FLAGS.what, file=path, text=text)


FLAGS = Origin("setting")
"""Where settings come from that are in no file."""


def to_live_config(tables: Table, origin: Origin = FLAGS) -> LiveConfig:
    """The configuration that tables amount to.

    Raises:
        SettingsError: an unknown key, a value of another type or out of its range, two cameras with one name; the line
            names the file, the line and the key where the file has it.
    """
    cameras, common = tables.get("camera"), tables.get("decision", {})
    if isinstance(cameras, list):
        tables = {**tables, "camera": [_with_decision(camera, common) for camera in cameras]}
    try:
        config = to_struct(tables, LiveConfig, origin)
    except SettingsError as error:
        if ".decision" in str(error):  # it may be that of all cameras, which is the place to name
            to_struct({"decision": common}, LiveConfig, origin)
        raise
    names = Counter(camera.name for camera in config.camera)
    for i, camera in enumerate(config.camera):
        if names[camera.name] > 1:
            got = f"{names[camera.name]} cameras with the name {camera.name!r}"
            raise SettingsError(origin.place(f"$.camera[{i}].name"), got=got, expected="a name for each")
    return config


def _with_decision(camera: Any, decision: Any) -> Any:
    """A camera's table whose decision begins with that of all cameras."""
    own = camera.get("decision", {}) if isinstance(camera, dict) else None
    if not isinstance(own, dict) or not isinstance(decision, dict):
        return camera  # a mistake, which the struct reports
    return {**camera, "decision": {**decision, **own}}


def to_file(config: LiveConfig) -> str:
    """The TOML file of a configuration; what has its default is left out."""
    table = _without_defaults(config)
    if config.camera:
        table.pop("decision", None)  # each camera's own begins with it
    return to_toml(table)


def _without_defaults(struct: msgspec.Struct) -> Table:
    table: Table = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if value is None or (not field.required and value == _default(field)):
            continue
        table[field.encode_name] = _builtin(value)
    return table


def _default(field: Any) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _builtin(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _without_defaults(value)
    if isinstance(value, tuple | list):
        return [_builtin(item) for item in value]
    return msgspec.to_builtins(value)
