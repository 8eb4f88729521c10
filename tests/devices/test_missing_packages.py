"""What a device says where the package that it needs is not installed, or is the wrong one.

Each case runs in a separate process in which the import is refused, in Python's own words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins import install_distribution

_PROGRAM = """
import json, sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from linnet_devices.api import DeviceUnavailable
from linnet_devices.registry import load_device, probe_all

try:
    load_device({device!r})
    error = None
except DeviceUnavailable as unavailable:
    error = str(unavailable)
probes = {{name: [probe.available, probe.reason, probe.fix, probe.details] for name, probe in probe_all().items()}}
print(json.dumps({{"error": error, "probes": probes}}))
"""


def _without(packages: set[str], device: str, site: Path | None = None) -> dict[str, Any]:
    """The error of ``load_device``, or None, and what ``probe_all`` found."""
    program = _PROGRAM.format(blocked=packages, device=device)
    path = os.pathsep.join(filter(None, [site and str(site), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("device", "packages", "extra"),
    [
        ("cpu:litert", ("ai_edge_litert", "tflite_runtime"), "litert"),
        ("cpu:onnx", ("onnxruntime",), "onnx"),
        ("cpu:openvino", ("openvino",), "openvino"),
    ],
)
def test_a_missing_package_is_one_line_with_the_extra_that_has_it(
    device: str, packages: tuple[str, ...], extra: str
) -> None:
    """The line names the package that its fix installs, and the other devices are still found."""
    found = _without(set(packages), device)
    reason, fix = f"No module named '{packages[0]}", f"pip install 'linnet[{extra}]'"
    assert found["error"].startswith(f"device {device}: got {reason}")
    assert found["error"].endswith(f". Fix: {fix}")
    available, probed_reason, probed_fix, _ = found["probes"].pop(device)
    assert not available
    assert probed_reason.startswith(reason)
    assert probed_fix == fix
    engines = {"cpu:litert", "cpu:onnx", "cpu:openvino", "fake"} - {device}
    assert {name for name in engines if found["probes"][name][0]} == engines


@pytest.mark.parametrize(
    ("device", "packages", "extra"),
    [
        ("coral:usb", ("ai_edge_litert", "tflite_runtime"), "litert"),
        ("delegate:/opt/libnpu.so", ("ai_edge_litert", "tflite_runtime"), "litert"),
        ("ort:QNN", ("onnxruntime",), "onnx"),
        ("npu", ("openvino",), "openvino"),
    ],
)
def test_an_accelerators_missing_engine_is_reported_in_the_same_way(
    device: str, packages: tuple[str, ...], extra: str
) -> None:
    error = _without(set(packages), device)["error"]
    assert error.startswith(f"device {device}: got No module named '{packages[0]}")
    assert error.endswith(f". Fix: pip install 'linnet[{extra}]'")


def _install_simulated_tflite_runtime(site: Path) -> None:
    """Simulated: the real wheel ends at Python 3.11 and cannot stand beside the NumPy of the other engines."""
    package = site / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("")
    names = ("Interpreter", "Delegate", "load_delegate")
    (package / "interpreter.py").write_text("".join(f"class {name}:\n    pass\n" for name in names))
    install_distribution(site, "tflite_runtime", "2.14.0")


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="tflite-runtime works with this NumPy")
def test_tflite_runtime_under_numpy_2_is_refused_before_it_fails(tmp_path: Path) -> None:
    """Without ai-edge-litert, tflite-runtime is taken; under NumPy 2, where it cannot work, probe says so."""
    _install_simulated_tflite_runtime(tmp_path)
    found = _without({"ai_edge_litert"}, "cpu:litert", tmp_path)
    assert found["error"] is None
    available, reason, fix, _ = found["probes"]["cpu:litert"]
    assert not available
    assert reason.startswith(f"tflite-runtime 2.14.0 was built for NumPy 1 and fails under NumPy {np.__version__}")
    assert fix == "pip install 'linnet[litert]', or 'numpy<2' where tflite-runtime must stay"


def test_ai_edge_litert_is_taken_where_both_are_here(tmp_path: Path) -> None:
    """The faster and newer of the two comes first."""
    _install_simulated_tflite_runtime(tmp_path)
    available, _, _, details = _without(set(), "cpu:litert", tmp_path)["probes"]["cpu:litert"]
    assert available
    assert details["engine"].startswith("ai-edge-litert ")
