"""The chain of ``ort:QNN``: Qualcomm's DSP, the permission, and a plug-in provider that fits onnxruntime. Internal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from linnet_runtime.doctor.links import Link, absent, broken, ok, permission
from linnet_runtime.doctor.system import System

_PROVIDER = "onnxruntime-qnn"
_NODES = ("/dev/fastrpc-cdsp*", "/dev/adsprpc-smd*")  # of Linux's own driver, and of Qualcomm's
_FIRST_PLUGIN = 2  # the first version that is a plug-in: 1.x held a whole onnxruntime
_LEAST = (1, 24, 2)  # of onnxruntime
_RULE = "add a udev rule that assigns {} to one of your groups"


def check_qnn(system: System) -> Iterator[Link]:
    """From the hardware to the engine. A machine that has only the package has Qualcomm's simulator."""
    nodes = [node for pattern in _NODES for node in system.glob(pattern)]
    here = _PROVIDER in system.packages
    if not nodes:
        fix = "boot the board vendor's kernel, which has the driver fastrpc" if here else ""
        yield absent("hardware", f"no {' and no '.join(pattern.rstrip('*') for pattern in _NODES)}", fix)
    else:
        yield ok("hardware", system.name(nodes[0]))
        yield permission(system, nodes[0], _RULE.format(system.name(nodes[0])))
    if here:
        yield from _check_provider(system)
    elif nodes:
        yield broken("provider", f"no {_PROVIDER}", f"pip install onnxruntime {_PROVIDER}")


def _check_provider(system: System) -> Iterator[Link]:
    version = system.packages[_PROVIDER].version
    if _numbers(version)[0] < _FIRST_PLUGIN:
        fix = f"pip uninstall {_PROVIDER} onnxruntime, then pip install onnxruntime {_PROVIDER}"
        yield broken("provider", f"{_PROVIDER} {version} contains its own onnxruntime", fix)
        return
    if "onnxruntime" not in system.packages:
        yield broken("provider", f"{_PROVIDER} {version} without onnxruntime", "pip install 'linnet[onnx]'")
        return
    engine = system.packages["onnxruntime"].version
    if _numbers(engine) < _LEAST:
        needs = ".".join(map(str, _LEAST))
        found = f"{_PROVIDER} {version} needs onnxruntime {needs} or newer, and this is {engine}"
        yield broken("provider", found, "pip install --upgrade onnxruntime")
        return
    error = system.python_error("import onnxruntime_qnn")
    if error:
        found = f"{_PROVIDER} {version} cannot be imported: {error}"
        yield broken("provider", found, f"pip install --force-reinstall {_PROVIDER}")
        return
    yield ok("provider", f"{_PROVIDER} {version} with onnxruntime {engine}")


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "1.24.2rc1" is 1, 24, 2."""
    return tuple(map(int, re.findall(r"\d+", version)[:3])) or (0,)
