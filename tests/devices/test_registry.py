"""The registry: devices by name, the errors of those that are not available, and plug-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from linnet_devices.api import DeviceError, DeviceUnavailable, Setting
from linnet_devices.fake import Fake
from linnet_devices.presets import PRESETS
from linnet_devices.registry import DEVICES, GROUPS, expand, known_names, load_device, probe, probe_all
from plugins import install_plugin

MODULE = "linnet_tested_plugin"
DEVICE = """
from linnet_devices.fake import Fake

class Good(Fake):
    name = "good:one"

class CannotProbe(Fake):
    def probe(self):
        raise RuntimeError("the bus\\nis gone")

class CannotBeMade:
    def __init__(self):
        raise RuntimeError("no licence\\nask the vendor")

class SaysTooLittle:
    name, formats = "no-members", ("onnx",)

    def probe(self): ...
    def open(self, model, options): ...
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on ``sys.path`` to install a plug-in into; what it imports is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop(MODULE, None)


@pytest.fixture
def plugins(site: Path) -> None:
    """A plug-in with a device that works, two that do not and one that is not in it."""
    devices = {"good:one": "Good", "no-probe": "CannotProbe", "no-start": "CannotBeMade", "no-class": "Missing"}
    devices["no-members"] = "SaysTooLittle"
    install_plugin(site, MODULE, DEVICE, devices)


# The table


def test_every_device_of_a_group_is_known() -> None:
    assert {name for names in GROUPS.values() for name in names} <= {*DEVICES, *(f"delegate:{n}" for n in PRESETS)}


def test_a_group_stands_for_its_devices_best_first() -> None:
    assert expand("cpu")[0] == "cpu:litert"
    assert expand("cpu:onnx") == ("cpu:onnx",)


def test_accelerators_come_before_the_cpu() -> None:
    """Of those that have to be asked for, none is tried."""
    accelerators, cpu = expand("auto")[: -len(expand("cpu"))], expand("auto")[-len(expand("cpu")) :]
    assert cpu == expand("cpu")
    assert accelerators[0] == "coral"
    assert not {"fake", "delegate:armnn", "delegate:nnapi"} & set(accelerators)


@pytest.mark.parametrize("name", ["coral:usb:1", "delegate:vx", "delegate:/opt/lib.so?a=1", "ort:CPU", "ort:QNN"])
def test_a_device_of_a_family_has_the_whole_name(name: str) -> None:
    assert load_device(name).name == name


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_with_a_package_of_its_own_says_how_to_install_it(name: str) -> None:
    assert DEVICES[name].hint.startswith("pip install ") or DEVICES[name].summary.startswith("simulated")
    assert DEVICES[name].summary


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cpu:onx", Setting("device", "cpu:onnx")),  # a slip
        ("CPU:litert", Setting("device", "cpu:litert")),  # names are lower case
        ("litert", Setting("device", "cpu:litert")),  # the engine alone
        ("edgetpu", Setting("device", "coral")),  # what others call it
        ("Edge-TPU", Setting("device", "coral")),
        ("tpu", Setting("device", "coral")),  # and not npu
        ("usb", Setting("device", "coral:usb")),
        ("tflite", Setting("device", "cpu:litert")),
        ("cuda", Setting("device", "ort:CUDA")),
        ("nnapi", Setting("device", "delegate:nnapi")),  # a preset without its prefix
        ("ethosu", Setting("device", "delegate:ethosu")),
        ("zzz", "linnet devices lists the available ones"),  # near nothing
        ("", "linnet devices lists the available ones"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, fix: str | Setting) -> None:
    with pytest.raises(DeviceError) as error:
        load_device(name)
    assert str(error.value).startswith(f"device: got {name!r}, expected one of ")
    assert error.value.fix == fix
    assert all(known in str(error.value) for known in known_names())


# Plug-ins


@pytest.mark.usefixtures("plugins")
def test_a_plugin_is_a_device_like_any_other() -> None:
    assert load_device("good:one").name == "good:one"
    assert probe("good:one").available
    assert probe_all()["good:one"].available
    assert "good:one" in known_names()


@pytest.mark.usefixtures("plugins")
def test_a_plugins_name_is_the_nearest_too() -> None:
    with pytest.raises(DeviceError) as error:
        load_device("god:one")
    assert error.value.fix == Setting("device", "good:one")


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no-start", "no licence ask the vendor"),
        ("no-class", "Missing"),
        ("no-members", "a device without isolated, targets"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(DeviceUnavailable) as error:
        load_device(name)
    line = str(error.value)
    assert name in line
    assert MODULE in line
    assert reason in line
    assert "\n" not in line


def test_a_plugin_that_cannot_be_imported_is_named_in_one_line(site: Path) -> None:
    install_plugin(site, MODULE, "import a_vendor_library_that_is_not_here", {"vendor": "Board"})
    with pytest.raises(DeviceUnavailable, match=rf"vendor \({MODULE}:Board\): .*a_vendor_library_that_is_not_here"):
        load_device("vendor")


@pytest.mark.usefixtures("plugins")
def test_probing_all_outlives_the_faults_of_plugins() -> None:
    found = probe_all()
    assert set(DEVICES) <= set(found)
    assert found["fake"].available
    assert not found["no-probe"].available
    assert found["no-probe"].reason == "RuntimeError: the bus is gone"
    for name in ("no-probe", "no-start", "no-class"):
        assert found[name].reason
        assert found[name].fix == "install what the plug-in needs, or report it to its author"
        assert "\n" not in found[name].reason


def test_a_plugin_takes_no_name_of_the_table(site: Path) -> None:
    install_plugin(site, MODULE, DEVICE, {"fake": "Good", "cpu": "Good", "delegate:mine": "Good", "coral:2": "Good"})
    assert type(load_device("fake")) is Fake
    for name in ("delegate:mine", "coral:2"):
        with pytest.raises(DeviceError, match=name):
            load_device(name)
        assert name not in known_names()
    assert len(known_names()) == len(set(known_names()))
    assert "cpu" not in probe_all()
    assert MODULE not in sys.modules


@pytest.mark.usefixtures("plugins")
def test_a_name_of_the_table_imports_no_plugin() -> None:
    load_device("fake")
    assert MODULE not in sys.modules
