"""Arm's own compiler for the Ethos-U takes Linnet's models whole. Opt-in: ``make test-vendors``."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from environments import Environment
from linnet_convert.compilers.api import Job
from linnet_convert.compilers.bundle import compile_bundle, compilers_of
from linnet_convert.compilers.ethosu import EthosU
from linnet_convert.testing.compiler_conformance import CompilerConformance
from linnet_convert.writers.tflite import to_tflite
from linnet_runtime.bundle import Artifact, open_bundle
from linnet_train.models import NETWORKS, build_model
from linnet_train.quantization import calibrate, quantize
from vendors.conftest import use

pytestmark = pytest.mark.vendors

# The others with pytest -m "vendors and large": each takes half a minute or more.
ORDINARY = ("mobilenet_v2", "mobilenet_v4_conv_small")
NAMES = [name if name in ORDINARY else pytest.param(name, marks=pytest.mark.large) for name in NETWORKS]
CLASSES = 10
# The operators of each network that Vela leaves to the CPU. None of a network that was tried: docs/compilers.md.
ON_CPU: dict[str, dict[str, int]] = {}


@pytest.fixture(autouse=True)
def tool(vela: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    use(vela, monkeypatch)


class TestEthosU(CompilerConformance):
    compiler, target = "ethosu", "ethosu:u65-256"


@pytest.mark.parametrize("chip", ["u55-128", "u65-256", "u85-256"])
def test_every_operator_of_a_trained_network_runs_on_the_npu(chip: str, bundle_folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(bundle_folder)
    int8 = next(artifact for artifact in bundle.artifacts if artifact.format == "tflite" and artifact.is_int8)
    product = EthosU().compile(Job(bundle, _absolute(int8), f"ethosu:{chip}", tmp_path, tmp_path / "log", 600))
    assert product.on_cpu == {}
    assert product.mapped
    assert product.on_chip_bytes
    assert product.estimated_ms


@pytest.mark.parametrize("name", NAMES)
def test_the_operators_on_the_cpu_are_known(name: str, bundle_folder: Path, tmp_path: Path) -> None:
    """The registry's networks at their own size, untrained: the operators do not depend on the weights."""
    size = NETWORKS[name].size
    model = quantize(build_model(name, classes=CLASSES, size=size, weights="none"))
    photos = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    calibrate(model, photos)
    root = tmp_path / "model"
    root.mkdir()
    artifact = to_tflite(model, "int8", photos, root)
    folder = tmp_path / "made"
    folder.mkdir()
    job = Job(open_bundle(bundle_folder), _absolute(artifact, root), "ethosu:u65-256", folder, tmp_path / "log", 600)
    assert EthosU().compile(job).on_cpu == ON_CPU.get(name, {})


def _absolute(artifact: Artifact, root: Path = Path()) -> Artifact:
    return msgspec.structs.replace(artifact, path=str((root / artifact.path).absolute()))


def test_every_board_of_the_table_compiles(bundle_folder: Path, tmp_path: Path) -> None:
    """Its system configuration and its memory mode are sections that Vela has."""
    bundle = Path(shutil.copytree(bundle_folder, tmp_path / "parts.linnet"))
    boards = [target for target in EthosU.targets if not target.partition(":")[2].startswith("u")]
    made = compile_bundle(bundle, compilers_of(boards), on_step=lambda _: None)
    assert [artifact.compiled_for for artifact in made] == boards
    assert all(artifact.compiled and artifact.compiled.on_cpu == {} for artifact in made)
