"""What a user installs."""

from __future__ import annotations

import email.parser
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from program import ROOT

PACKAGES = {
    "linnet_devices": ROOT / "devices",
    "linnet_runtime": ROOT / "edge_runtime",
    "linnet_train": ROOT / "train",
    "linnet_convert": ROOT / "convert",
}


@pytest.fixture(scope="module")
def files(wheel: Path) -> dict[PurePosixPath, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {PurePosixPath(name): archive.read(name) for name in archive.namelist()}


def test_wheel_holds_the_four_packages_and_nothing_beside_them(files: dict[PurePosixPath, bytes]) -> None:
    tops = {path.parts[0] for path in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_every_file_of_a_package(files: dict[PurePosixPath, bytes], package: str) -> None:
    """Modules, py.typed, the demo's page and the models of the conformance suite."""
    root = PACKAGES[package]
    sources = {
        PurePosixPath(path.relative_to(root))
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in files if path.parts[0] == package} == sources
    assert PurePosixPath(package, "py.typed") in sources


def test_wheel_holds_the_conformance_suite_with_its_models(files: dict[PurePosixPath, bytes]) -> None:
    models = [path for path in files if path.match("linnet_devices/testing/models/*")]
    assert {".tflite", ".onnx", ".xml", ".bin"} <= {path.suffix for path in models}


def test_wheel_carries_the_licence_and_the_command(files: dict[PurePosixPath, bytes]) -> None:
    (licence,) = (path for path in files if path.match("*.dist-info/licenses/LICENSE"))
    assert files[licence] == (ROOT / "LICENSE").read_bytes()
    (entry_points,) = (path for path in files if path.match("*.dist-info/entry_points.txt"))
    assert "linnet = linnet_runtime.cli:main" in files[entry_points].decode().splitlines()


def test_a_device_installs_five_packages_and_an_engine(files: dict[PurePosixPath, bytes]) -> None:
    (path,) = (path for path in files if path.match("*.dist-info/METADATA"))
    requirements = email.parser.BytesParser().parsebytes(files[path]).get_all("Requires-Dist", [])
    names = {requirement.split(">")[0] for requirement in requirements if "extra ==" not in requirement}
    assert names == {"numpy", "opencv-python-headless", "click", "rich", "msgspec"}
