"""``npu`` and ``gpu`` through OpenVINO. Neither was at hand: OpenVINO's CPU plug-in under another name stands in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openvino
import pytest
from openvino import opset13

from devices.run_conformance import run_conformance
from linnet_devices import DeviceError, DeviceUnavailable, Model, OpenOptions, load_device
from linnet_devices.registry import probe
from linnet_devices.testing.npu import SimulatedNpu
from linnet_devices.testing.samples import color_pictures, load_models, pattern_pictures
from plugins import install_plugin

IRS = [model for model in load_models() if model.format == "openvino"]
INT8 = IRS[0]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["npu", "gpu"])
def test_one_that_is_not_here_says_what_is_and_what_it_needs(name: str) -> None:
    found = probe(name)
    if found.available:
        pytest.skip(f"{name} is available")
    assert found.reason.startswith("no /dev/") or found.reason == f"OpenVINO finds CPU and no {name.upper()}"
    assert found.fix
    assert load_device(name).probe().reason == f"OpenVINO finds CPU and no {name.upper()}"
    with pytest.raises(DeviceUnavailable, match=r"and no .*render"):
        load_device(name).open(INT8, OpenOptions(allow_fallback=True))


@pytest.mark.parametrize(("node", "imported"), [("accel7", True), ("other", False)])
def test_without_a_drivers_node_openvino_is_not_even_imported(tmp_path: Path, node: str, imported: bool) -> None:
    """It takes longer than a small network needs to be loaded and run."""
    (tmp_path / node).touch()
    done = subprocess.run([sys.executable, "-c", _PROBE, str(tmp_path / "accel*")], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"imported": imported, "available": False}


_PROBE = """
import json, sys
from dataclasses import replace
from linnet_devices import registry

registry.DEVICES["npu"] = replace(registry.DEVICES["npu"], nodes=(sys.argv[1],))
found = registry.probe("npu")
print(json.dumps({"imported": "openvino" in sys.modules, "available": found.available}))
"""


def test_a_stand_in_is_found_by_name_with_its_hardware() -> None:
    found = SimulatedNpu().probe()
    assert found.available
    assert found.details["hardware"]


@pytest.mark.parametrize("model", IRS, ids=[model.precision for model in IRS])
def test_it_runs_the_whole_model_and_says_so(model: Model) -> None:
    with SimulatedNpu().open(model, OpenOptions(require_placement=1)) as session:
        assert session.device == session.placement.device == "simulated-npu"
        assert session.placement.share == 1
        assert session.placement.total > 5  # what the plug-in made of the model's operations
        session.run(pattern_pictures())


def test_a_model_of_open_shape_is_given_its_entrys(tmp_path: Path) -> None:
    """An NPU takes fixed shapes only."""
    pixels = opset13.parameter([-1, 24, 32, 3], np.uint8)
    means = opset13.reduce_mean(opset13.convert(pixels, "f32"), np.array([1, 2]))
    openvino.save_model(openvino.Model([means], [pixels], "means"), tmp_path / "means.xml")
    output = msgspec.structs.replace(INT8.output, dtype="float32", scale=None, zero_point=None)
    means_of_channels = msgspec.structs.replace(INT8, path=str(tmp_path / "means.xml"), output=output, weights=None)
    with SimulatedNpu().open(means_of_channels, OpenOptions()) as session:
        np.testing.assert_allclose(session.run(color_pictures()), color_pictures().mean(axis=(1, 2)), rtol=0.01)


class RunsOnTheCpu(SimulatedNpu):
    """Simulated: a plug-in that falls back, as AUTO does while, or because, it has no NPU."""

    def core(self) -> Any:
        core = super().core()

        class Core:
            available_devices = core.available_devices
            read_model, get_property = core.read_model, core.get_property

            def compile_model(self, model: Any, device: str, properties: dict[str, Any]) -> Any:
                return core.compile_model(model, "CPU", properties)

        return Core()


def test_running_on_the_cpu_when_asked_for_the_npu_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"on simulated-npu: got 0 of \d+ operations on it \(.*Convolution: CPU"):
        RunsOnTheCpu().open(INT8, OpenOptions())


def test_running_on_the_cpu_where_that_was_allowed_is_reported() -> None:
    with RunsOnTheCpu().open(INT8, OpenOptions(allow_fallback=True)) as session:
        assert session.device == "cpu:openvino"
        assert (session.placement.device, session.placement.on_device) == ("simulated-npu", 0)


def test_what_was_compiled_is_kept_in_the_users_cache_folder(cache: Path) -> None:
    """The second time the model is loaded as it was compiled."""
    for _ in range(2):
        SimulatedNpu().open(INT8, OpenOptions()).close()
    kept = [path for path in (cache / "linnet" / "openvino").iterdir() if path.is_file()]
    assert kept
    core = SimulatedNpu().core()
    properties = {"PERFORMANCE_HINT": "LATENCY", "CACHE_DIR": str(cache / "linnet" / "openvino")}
    again = core.compile_model(core.read_model(INT8.path), SimulatedNpu.target, properties)
    assert again.get_property("LOADED_FROM_CACHE")


def test_the_cpu_keeps_nothing(cache: Path) -> None:
    load_device("cpu:openvino").open(INT8, OpenOptions()).close()
    assert not cache.exists()


def test_openvinos_own_automatic_choice_says_what_it_took() -> None:
    """Therefore it can be distinguished from the device that was asked for."""
    core = openvino.Core()
    taken = core.compile_model(core.read_model(INT8.path), "AUTO:NPU,CPU").get_property("EXECUTION_DEVICES")
    assert "CPU" in str(taken)


_SIGNALS = """
import os, signal, threading, time
from linnet_devices import OpenOptions, load_device
from linnet_devices.testing.samples import load_models

model = next(model for model in load_models() if model.format == "openvino")
sessions = []

def open_one():
    sessions.append(load_device("cpu:openvino").open(model, OpenOptions(threads=1)))

open_one()
thread = threading.Thread(target=open_one)
thread.start()
thread.join()
open_one()
while sessions:
    sessions.pop(0).close()  # the first one first
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped by ctrl-C")
"""


def test_ctrl_c_after_sessions_were_closed_in_the_order_they_were_opened() -> None:
    """With a separate OpenVINO core for each session it was a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", _SIGNALS], capture_output=True, text=True, check=True)
    assert done.stdout == "stopped by ctrl-C\n"


def test_the_stand_in_passes_the_conformance_suite(tmp_path: Path) -> None:
    site = tmp_path / "site"
    code = "from linnet_devices.testing.npu import SimulatedNpu\n"
    install_plugin(site, "linnet_simulated_npu", code, {"simulated-npu": "SimulatedNpu"})
    run_conformance(tmp_path, "simulated-npu", site)
