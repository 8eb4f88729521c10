"""Accelerators behind a TensorFlow Lite external delegate: ``delegate:vx``, ``delegate:/path/lib.so?option=value``.
Internal.
"""

from __future__ import annotations

import ctypes
import os

from linnet_devices.api import DeviceError, DeviceUnavailable, Format, Model, OpenOptions, Probe, Setting, Tier
from linnet_devices.device_options import parse_options
from linnet_devices.errors import nearest
from linnet_devices.litert import LiteRT, LiteRTSession, create_delegate
from linnet_devices.presets import PRESETS, Preset
from linnet_devices.session import check_placement

PREFIX = "delegate:"
_ENTRY = "tflite_plugin_create_delegate"
_STAND_IN = "linnet_stand_in"  # what the fault kit's delegate exports
_SUFFIXES = (".so", ".dylib", ".dll")


class ExternalDelegate:
    """A device whose library is a TensorFlow Lite delegate. Its options are passed to the library unchanged."""

    formats: tuple[Format, ...] = ("tflite",)
    isolated = True

    def __init__(self, name: str, preset: Preset, options: dict[str, str]) -> None:
        self.name = name
        self.preset = preset
        self.options = preset.options | options
        self.targets = preset.targets

    def probe(self) -> Probe:
        engine = LiteRT().probe()
        if not engine.available:
            return engine
        if self.preset.unavailable:
            return Probe(False, self.preset.unavailable, self.preset.fix)
        try:
            library, loaded = self.library()
        except DeviceUnavailable as error:
            return Probe(False, " ".join(str(error.got).split()), self.preset.fix)
        tier: Tier = "stand-in" if hasattr(loaded, _STAND_IN) else "hardware"
        return Probe(True, details=engine.details | {"library": library, "hardware": self.preset.hardware}, tier=tier)

    def open(self, model: Model, options: OpenOptions) -> LiteRTSession:
        library, _ = self.library()
        for variable, value in self.preset.environment.items():
            os.environ.setdefault(variable, value)
        try:
            delegate = create_delegate(library, self.options)
        except ValueError as error:
            reason = str(error) or "no accelerator; its library reports no reason"
            raise DeviceUnavailable(f"device {self.name}", got=reason, fix=self.preset.fix) from error
        return check_placement(LiteRTSession(self.name, model, options, delegate), options)

    def library(self) -> tuple[str, ctypes.CDLL]:
        """The first of the preset's libraries that can be loaded, with its name. Raises DeviceUnavailable."""
        reasons = []
        for name in self.preset.libraries:
            try:
                library = ctypes.CDLL(name)
                getattr(library, _ENTRY)
            except (OSError, AttributeError) as error:  # the linker's message: it names what is missing
                reasons.append(str(error))
                continue
            return name, library
        raise DeviceUnavailable(f"device {self.name}", got=reasons[0], fix=self.preset.fix)


def named(name: str) -> ExternalDelegate:
    """The device ``delegate:NAME`` or ``delegate:/path/lib.so?option=value&option=value``.

    A comma in a value is written %2C, because commas separate devices.

    Raises:
        DeviceError: it is neither the name of a preset nor a library's path, or an option has no value.
    """
    target, _, query = name.removeprefix(PREFIX).partition("?")
    options = parse_options(query, name)
    if target in PRESETS:
        return ExternalDelegate(name, PRESETS[target], options)
    if "/" in target or os.sep in target or target.endswith(_SUFFIXES):
        preset = Preset(
            hardware=target,
            libraries=(target,),
            fix="check the library's path, the libraries that it links to, its options and the accelerator",
        )
        return ExternalDelegate(name, preset, options)
    known = nearest(target, PRESETS) or ["/path/lib.so"]
    raise DeviceError(
        Setting("device"),
        got=repr(name),
        expected=f"a library's path or one of {', '.join(PRESETS)} after delegate:",
        fix=Setting("device", PREFIX + known[0]),
    )
