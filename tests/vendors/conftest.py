"""An environment for each vendor's package, because they pin other versions than Linnet's."""

from __future__ import annotations

import os
import sysconfig
import venv
from pathlib import Path

import pytest

from environments import Environment, pip
from networks import pytest_itemcollected  # noqa: F401  # a hook
from once import made_once
from program import ROOT

SOURCES = ("devices", "edge_runtime", "train", "convert")


def _environment(factory: pytest.TempPathFactory, name: str, *packages: str) -> Environment:
    """A new environment with a vendor's packages, in which this checkout and what it is installed with can be imported
    too; the vendor's versions come first. Skips where pip finds no wheel for this machine.
    """

    def make(folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        python = folder / "bin" / "python"
        done = pip("--python", python, "install", "--quiet", "--pre", "--only-binary", ":all:", *packages)
        if done.returncode:
            pytest.skip(f"pip installs no {' '.join(packages)}: {done.stderr.strip().splitlines()[-1]}")
        (site,) = folder.glob("lib/python3.*/site-packages")
        ours = [str(ROOT / source) for source in SOURCES] + [sysconfig.get_path("purelib")]
        (site / "linnet.pth").write_text("\n".join(ours) + "\n")

    return Environment(made_once(factory, name, make))


@pytest.fixture(scope="session")
def vela(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _environment(tmp_path_factory, "ethos-u-vela", "ethos-u-vela")


@pytest.fixture(scope="session")
def tflm(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _environment(tmp_path_factory, "tflite-micro", "tflite-micro")


@pytest.fixture(scope="session")
def qnn(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _environment(tmp_path_factory, "onnxruntime-qnn", "onnxruntime-qnn", "onnxruntime")


def use(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has ``linnet compile`` find the vendor's tool there, as a user's ``LINNET_TOOLS`` does."""
    monkeypatch.setenv("LINNET_TOOLS", str(environment.folder))
    monkeypatch.setenv("PATH", os.defpath)
