"""The way to an accelerator behind a TensorFlow Lite delegate."""

from __future__ import annotations

from edge_runtime.doctor.made_system import FakeRoot


def test_a_delegate_of_which_nothing_is_installed_is_not_reported(root: FakeRoot) -> None:
    (link,) = root.links("delegates").values()
    assert link.state == "absent"


def test_a_delegates_node_asks_for_its_library(root: FakeRoot) -> None:
    root.node("/dev/ethosu0")
    links = root.links("delegates")
    assert links["ethosu permission"].state == "ok"
    assert (links["ethosu library"].state, links["ethosu library"].found) == ("broken", "no libethosu_delegate.so")
    assert "eIQ" in links["ethosu library"].fix
    assert links["engine"].state == "broken"


def test_a_library_that_is_no_delegate_is_reported(root: FakeRoot) -> None:
    root.library("libvx_delegate.so")
    links = root.links("delegates")
    assert links["vx hardware"].state == "absent"
    assert "undefined symbol: tflite_plugin_create_delegate" in links["vx loads"].found


def test_a_delegate_that_is_well(root: FakeRoot) -> None:
    root.library("libvx_delegate.so", "tflite_plugin_create_delegate")
    root.node("/dev/galcore")
    root.package("tflite_runtime", "2.14.0")
    assert {link.state for link in root.links("delegates").values()} == {"ok"}
