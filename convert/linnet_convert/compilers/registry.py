"""The compilers by name: a literal table, and the entry points of plug-ins.

A target begins with the name of its compiler: ``ethosu:u65-256``. A plug-in registers a class in the entry point group
``linnet.compilers``; the group is read only for a name that is not in the table, and for the list of all.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name

from linnet_convert.compilers.api import Compiler
from linnet_convert.errors import ConversionError
from linnet_devices.api import Probe
from linnet_devices.errors import LinnetError, Setting, nearest
from linnet_devices.plugin import PLUGIN_FIX, make_from_plugin

ENTRY_POINT_GROUP = "linnet.compilers"
TARGET_SETTING = Setting("target")
_MEMBERS = ("name", "targets", "formats", "license", "probe", "compile")  # of the protocol Compiler

COMPILERS = {
    "edgetpu": "linnet_convert.compilers.edgetpu:EdgeTpu",
    "ethosu": "linnet_convert.compilers.ethosu:EthosU",
    "qnn": "linnet_convert.compilers.qnn:Qnn",
    "tflm": "linnet_convert.compilers.tflm:Tflm",
}


def load_compiler(name: str) -> Compiler:
    """The compiler of a name in ``compiler_names``. Raises ConversionError for a plug-in that cannot be loaded."""
    if name in COMPILERS:
        compiler: Compiler = resolve_name(COMPILERS[name])()
        return compiler
    (point,) = (point for point in _plugins() if point.name == name)
    plugin: Compiler = make_from_plugin(point, "compiler", _MEMBERS, ConversionError)
    return plugin


def compiler_names() -> list[str]:
    """Every compiler's name in the registry."""
    return [*COMPILERS, *(point.name for point in _plugins())]


def compiler_of(target: str, *, setting: Setting = TARGET_SETTING) -> Compiler:
    """The compiler of a target.

    Raises:
        ConversionError: no compiler has that target; the error suggests the nearest.
    """
    family = target.partition(":")[0]
    if family in compiler_names():
        compiler = load_compiler(family)
        if target in compiler.targets:
            return compiler
        known = list(compiler.targets)
    else:
        known = [target for name in COMPILERS for target in load_compiler(name).targets]
    near = nearest(target, known) or nearest(family, compiler_names())
    meant = near[0] if near else ""
    raise ConversionError(
        setting,
        got=repr(target),
        expected="one of " + ", ".join(known if family in compiler_names() else compiler_names()),
        fix=Setting(setting.name, meant, flag=setting.flag) if meant in known else "linnet devices --compilers",
    )


def probe_all() -> dict[str, tuple[tuple[str, ...], Probe]]:
    """The targets of each compiler and whether its tool is available, by the compiler's name. Never raises."""
    return {name: _probe(name) for name in compiler_names()}


def _probe(name: str) -> tuple[tuple[str, ...], Probe]:
    try:
        compiler = load_compiler(name)
        return tuple(compiler.targets), compiler.probe()
    except LinnetError as error:
        return (), Probe(False, " ".join(str(error.got or error).split()), str(error.fix or ""))
    except Exception as error:  # an error in a plug-in must not hide the other compilers
        return (), Probe(False, " ".join(f"{type(error).__name__}: {error}".split()), PLUGIN_FIX)


def _plugins() -> tuple[EntryPoint, ...]:
    return tuple(point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in COMPILERS)
