"""The way to Qualcomm's HTP: the DSP's node, its permission, and a provider that fits onnxruntime."""

from __future__ import annotations

import pytest

from edge_runtime.doctor.made_system import FakeRoot, group_of, somebody


def install(root: FakeRoot, provider: str = "2.7.0", engine: str = "1.32.0", code: str = "") -> None:
    root.package("onnxruntime_qnn", provider, "onnxruntime_qnn", code)
    if engine:
        root.package("onnxruntime", engine)


def test_neither_hardware_nor_package_is_absent(root: FakeRoot) -> None:
    (link,) = root.links("qnn").values()
    assert (link.state, link.fix) == ("absent", "")


def test_a_board_that_is_well(root: FakeRoot) -> None:
    root.node("/dev/fastrpc-cdsp")
    install(root)
    links = root.links("qnn")
    assert {link.state for link in links.values()} == {"ok"}
    assert links["provider"].found == "onnxruntime-qnn 2.7.0 with onnxruntime 1.32.0"


def test_a_dsp_of_another_group(root: FakeRoot) -> None:
    root.node("/dev/fastrpc-cdsp", 0o660)
    group_of(root, "/dev/fastrpc-cdsp", "fastrpc")
    with somebody():
        link = root.links("qnn")["permission"]
    assert link.state == "broken"
    assert link.fix == "sudo usermod -aG fastrpc $USER, and log in again"


def test_a_dsp_without_the_package(root: FakeRoot) -> None:
    root.node("/dev/adsprpc-smd")
    link = root.links("qnn")["provider"]
    assert (link.state, link.fix) == ("broken", "pip install onnxruntime onnxruntime-qnn")


@pytest.mark.parametrize(
    ("provider", "engine", "found", "fix"),
    [
        ("1.22.0", "1.32.0", "contains its own onnxruntime", "pip uninstall onnxruntime-qnn onnxruntime, then"),
        ("2.7.0", "", "without onnxruntime", "pip install 'linnet[onnx]'"),
        ("2.7.0", "1.24.1", "needs onnxruntime 1.24.2 or newer, and this is 1.24.1", "pip install --upgrade onnxr"),
        ("2.7.0", "1.9.0", "needs onnxruntime 1.24.2", "pip install --upgrade onnxruntime"),
    ],
)
def test_a_provider_that_does_not_fit_onnxruntime(
    provider: str, engine: str, found: str, fix: str, root: FakeRoot
) -> None:
    install(root, provider, engine)
    link = root.links("qnn")["provider"]
    assert link.state == "broken"
    assert found in link.found
    assert link.fix.startswith(fix)


def test_a_provider_that_cannot_be_imported(root: FakeRoot) -> None:
    install(root, code="raise ImportError('libc++.so.1: cannot open')")
    link = root.links("qnn")["provider"]
    assert link.state == "broken"
    assert "libc++.so.1" in link.found
