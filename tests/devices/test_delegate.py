"""External delegates by name and by path: options, the errors of those that are not available, and the presets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devices.run_conformance import run_conformance
from linnet_devices import DeviceError, DeviceUnavailable, Model, OpenOptions, load_device
from linnet_devices.delegate import ExternalDelegate, named
from linnet_devices.presets import PRESETS, Preset
from linnet_devices.registry import known_names, probe
from linnet_devices.testing.faults import device_name
from program import ROOT

DOCUMENT = (ROOT / "docs" / "devices.md").read_text()


# Names


@pytest.mark.parametrize(
    ("name", "libraries", "options"),
    [
        ("delegate:/opt/libnpu.so", ("/opt/libnpu.so",), {}),
        ("delegate:libnpu.so", ("libnpu.so",), {}),  # where the linker looks
        ("delegate:./libnpu.so?a=1&b=", ("./libnpu.so",), {"a": "1", "b": ""}),
        ("delegate:/opt/libnpu.so?list=x%2Cy&path=/a/b?c=d", ("/opt/libnpu.so",), {"list": "x,y", "path": "/a/b?c=d"}),
        ("delegate:vx", ("libvx_delegate.so",), {}),
        ("delegate:vx?device_id=1", ("libvx_delegate.so",), {"device_id": "1"}),
        ("delegate:qnn", ("libQnnTFLiteDelegate.so",), {"backend_type": "htp"}),
        (
            "delegate:qnn?backend_type=gpu",
            ("libQnnTFLiteDelegate.so",),
            {"backend_type": "gpu"},
        ),  # the user's goes before
    ],
)
def test_a_name_says_which_library_with_which_options(
    name: str, libraries: tuple[str, ...], options: dict[str, str]
) -> None:
    device = named(name)
    assert (device.name, device.preset.libraries, device.options) == (name, libraries, options)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("delegate:vxx", "Fix: device='delegate:vx'"),  # a slip
        ("delegate:", "Fix: device='delegate:/path/lib.so'"),
        ("delegate:/opt/libnpu.so?fast", "got the option 'fast', expected option=value"),
        ("delegate:/opt/libnpu.so?=1", "got the option '=1', expected option=value"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, line: str) -> None:
    with pytest.raises(DeviceError) as error:
        load_device(name)
    assert line in str(error.value)
    assert name in str(error.value)


# Libraries that cannot be loaded


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("/nowhere/libnpu.so", "/nowhere/libnpu.so: cannot open shared object file"),
        ("libc.so.6", "undefined symbol: tflite_plugin_create_delegate"),  # a library, but no delegate
        (__file__, f"{__file__}: invalid ELF header"),  # made for another machine, or no library
    ],
)
def test_a_library_that_is_no_delegate_is_unavailable(library: str, reason: str, int8_model: Model) -> None:
    device = ExternalDelegate("delegate:it", Preset(hardware="it", libraries=(library,), fix="see to it"), {})
    found = device.probe()
    assert not found.available
    assert reason in found.reason
    assert found.fix == "see to it"
    with pytest.raises(DeviceUnavailable, match="Fix: see to it") as error:
        device.open(int8_model, OpenOptions())
    assert reason in str(error.value)


def test_the_first_library_that_is_here_is_taken(fault_library: Path) -> None:
    libraries = ("/nowhere/libnpu.so", str(fault_library))
    found = ExternalDelegate("delegate:it", Preset(hardware="an NPU", libraries=libraries), {}).probe()
    assert found.available
    assert found.details["library"] == str(fault_library)
    assert found.details["hardware"] == "an NPU"


def test_a_presets_environment_is_set_where_the_user_has_not(
    fault_library: Path, int8_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"LINNET_TESTED_MINE": "preset", "LINNET_TESTED_OTHER": "preset"}
    monkeypatch.setenv("LINNET_TESTED_OTHER", "to be undone")
    monkeypatch.delenv("LINNET_TESTED_OTHER")
    monkeypatch.setenv("LINNET_TESTED_MINE", "user")
    preset = Preset(hardware="it", libraries=(str(fault_library),), environment=environment)
    ExternalDelegate("delegate:it", preset, {}).open(int8_model, OpenOptions()).close()
    assert (os.environ["LINNET_TESTED_MINE"], os.environ["LINNET_TESTED_OTHER"]) == ("user", "preset")


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is_and_where_that_is_from(name: str) -> None:
    """A row of the table, in the code and in the documentation."""
    preset = PRESETS[name]
    assert preset.hardware
    assert preset.model
    assert preset.source
    assert bool(preset.libraries) != bool(preset.unavailable)
    table = DOCUMENT.partition("Delegates by name")[2]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `delegate:{name}`")]
    words = [*preset.libraries, *preset.environment, *(f"{key}={value}" for key, value in preset.options.items())]
    assert [word for word in words if f"`{word}" not in row] == []
    assert f"delegate:{name}" in known_names()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_is_not_here_says_why_and_what_to_do(name: str) -> None:
    found = probe(f"delegate:{name}")
    if found.available:
        pytest.skip(f"delegate:{name} is available")
    expected = PRESETS[name].unavailable or f"{PRESETS[name].libraries[0]}: cannot open shared object file"
    assert found.reason.startswith(expected)
    assert found.fix == PRESETS[name].fix
    assert found.fix


# The whole of what a device does


def test_a_delegate_that_is_well_passes_the_conformance_suite(fault_library: Path, tmp_path: Path) -> None:
    """Simulated: loading, options, placement, errors, threads and closing are real; the accelerator is not."""
    run_conformance(tmp_path, device_name(fault_library))


def test_a_delegate_of_some_operations_passes_the_conformance_suite(fault_library: Path, tmp_path: Path) -> None:
    run_conformance(tmp_path, device_name(fault_library, ops="CONV_2D+MEAN"))
