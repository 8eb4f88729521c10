"""TensorFlow Lite for Microcontrollers computes what LiteRT's reference kernels compute: ``make test-vendors``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from devices.run_conformance import run_suite
from environments import Environment
from linnet_convert.testing.compiler_conformance import CompilerConformance
from linnet_runtime.run_files import load_run_photos
from program import linnet
from vendors.conftest import use

pytestmark = pytest.mark.vendors

PHOTOS = 100
# In the vendor's environment: two interpreters on the same photos; prints how many have the same bytes.
_COMPARE = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from linnet_devices.api import OpenOptions
from tflite_micro.python.tflite_micro import runtime
model, photos = sys.argv[1], np.load(sys.argv[2])
reference = Interpreter(model_path=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
reference.allocate_tensors()
micro = runtime.Interpreter.from_file(model, arena_size=int(sys.argv[3]))
equal = 0
for photo in photos:
    reference.set_tensor(reference.get_input_details()[0]["index"], photo[None])
    reference.invoke()
    micro.set_input(photo[None], 0)
    micro.invoke()
    expected = reference.get_tensor(reference.get_output_details()[0]["index"])
    equal += bool((micro.get_output(0) == expected).all())
print(equal)
"""
_SUITE = """
import msgspec
from linnet_devices.testing.conformance import DeviceConformance
from linnet_devices.testing.samples import load_models

class TestIt(DeviceConformance):
    device = "tflm"
    models = tuple(
        msgspec.structs.replace(model, format="tflm", compiled_for="tflm")
        for model in load_models() if (model.format, model.precision) == ("tflite", "int8")
    )
"""


@pytest.fixture(autouse=True)
def tool(tflm: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tflm, monkeypatch)


class TestTflm(CompilerConformance):
    compiler, target = "tflm", "tflm"


def test_the_device_passes_the_conformance_suite(tflm: Environment, tmp_path: Path) -> None:
    run_suite(tmp_path, _SUITE, python=tflm.folder / "bin" / "python")


@pytest.fixture(scope="module")
def compiled(bundle_folder: Path, tflm: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's trained bundle, compiled."""
    bundle = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("tflm") / "parts.linnet"))
    linnet("compile", bundle, "--target", "tflm", env=_environment(tflm))
    return bundle


def _environment(tflm: Environment) -> dict[str, str]:
    import os

    return dict(os.environ) | {"LINNET_TOOLS": str(tflm.folder)}


def test_it_is_bit_equal_to_the_reference_kernels(
    compiled: Path, run_folder: Path, tflm: Environment, tmp_path: Path
) -> None:
    """On every photo, and in an arena of the size that the bundle states."""
    pixels = load_run_photos(run_folder)["val"].pixels[:PHOTOS]
    np.save(tmp_path / "photos.npy", pixels)
    (tmp_path / "compare.py").write_text(_COMPARE)
    row = json.loads((compiled / "bundle.json").read_bytes())["artifacts"][-1]
    arena = row["compiled"]["on_chip_bytes"]
    done = tflm.run("python", tmp_path / "compare.py", compiled / row["path"], tmp_path / "photos.npy", arena)
    assert int(done.stdout.splitlines()[-1]) == len(pixels)


def test_verify_writes_that_a_simulator_was_asked(compiled: Path, run_folder: Path, tflm: Environment) -> None:
    command = (
        "-m",
        "linnet_runtime.cli",
        "verify",
        compiled,
        "--device",
        "tflm",
        "--data",
        run_folder,
        "--write",
        "--json",
    )
    verdict = json.loads(tflm.run("python", *command).stdout)
    assert verdict["passed"]
    row = json.loads((compiled / "bundle.json").read_bytes())["artifacts"][-1]
    assert row["compiled"]["tier"] == "simulator"
    assert row["parity"]["agreement"] >= 0.97
