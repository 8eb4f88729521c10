"""The engines and OpenCV: versions that fit each other and this Python, and packages that overwrite one another."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from edge_runtime.doctor.made_system import FakeRoot


def test_an_engine_that_works_is_reported_with_its_versions(root: FakeRoot) -> None:
    root.package("numpy", "2.4.6")
    root.package("ai_edge_litert", "2.3.0", "ai_edge_litert.interpreter", "", f"cp3{sys.version_info[1]}-cp3-linux")
    link = root.links("engines")["ai-edge-litert"]
    assert (link.state, link.fix) == ("ok", "")
    assert link.found == "2.3.0 with Python {}.{} and NumPy 2.4.6".format(*sys.version_info)


def test_no_engine_at_all_is_broken(root: FakeRoot) -> None:
    link = root.links("engines")["engine"]
    assert (link.state, link.fix) == ("broken", "pip install 'linnet[litert]'")


@pytest.mark.parametrize(("numpy", "state"), [("1.26.4", "ok"), ("2.4.6", "broken")])
def test_tflite_runtime_wants_numpy_1(root: FakeRoot, numpy: str, state: str) -> None:
    """It declares no bound, and fails when a model is opened."""
    root.package("numpy", numpy)
    root.package("tflite_runtime", "2.14.0", "tflite_runtime.interpreter")
    link = root.links("engines")["tflite-runtime"]
    assert link.state == state
    assert ("NumPy 2.4.6" in link.found and "'numpy<2'" in link.fix) == (state == "broken")


@pytest.mark.parametrize(
    ("tag", "state"),
    [
        ("cp311-cp311-manylinux2014_aarch64", "broken"),
        ("cp312-cp312-manylinux2014_aarch64", "ok"),
        ("cp37-abi3-manylinux2014_aarch64", "ok"),  # for every later one too
        ("py3-none-manylinux2014_aarch64", "ok"),
    ],
)
def test_an_engine_was_built_for_this_python(root: FakeRoot, tag: str, state: str) -> None:
    root.system = replace(root.system, python=(3, 12))
    root.package("tflite_runtime", "2.14.0", "tflite_runtime.interpreter", "", tag)
    link = root.links("engines")["tflite-runtime"]
    assert link.state == state
    if state == "broken":
        assert link.found == "2.14.0 was built for cp311, and this is Python 3.12"
        assert link.fix == "pip install 'linnet[litert]': tflite-runtime ends at Python 3.11"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise ImportError('libtbb.so.12: cannot open shared object file')", "libtbb.so.12: cannot open"),
        ("import os; os.kill(os.getpid(), 4)", "the process was ended by SIGILL"),  # a processor without AVX
    ],
)
def test_an_engine_that_cannot_be_imported_says_why(root: FakeRoot, code: str, found: str) -> None:
    root.package("openvino", "2026.4.1", "openvino", code)
    link = root.links("engines")["openvino"]
    assert link.state == "broken"
    assert found in link.found
    assert link.fix == "pip install --force-reinstall openvino"


def test_two_packages_with_the_same_files_are_broken(root: FakeRoot) -> None:
    root.package("opencv_python", "5.0.0.93")
    root.package("opencv_python_headless", "5.0.0.93")
    root.package("onnxruntime", "1.31.1")
    root.package("onnxruntime_openvino", "1.24.1")
    (link,) = root.links("opencv").values()
    assert link.state == "broken"
    assert link.fix == ("pip uninstall opencv-python-headless opencv-python, then pip install opencv-python-headless")
    assert root.links("engines")["onnxruntime and onnxruntime-openvino"].state == "broken"


def test_opencv_for_a_desktop_on_a_machine_without_one_gets_the_headless_one(root: FakeRoot) -> None:
    code = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    root.package("opencv_python", "5.0.0.93", "cv2", code)
    link = root.links("opencv")["opencv-python"]
    assert link.state == "broken"
    assert link.fix.startswith("pip uninstall opencv-python, then pip install opencv-python-headless")
