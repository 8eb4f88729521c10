"""Qualcomm's HTP, simulated by Qualcomm's own library, agrees with ONNX Runtime. Opt-in: ``make test-vendors``."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from environments import Environment
from linnet_convert.testing.compiler_conformance import CompilerConformance
from linnet_runtime.run_files import load_run_photos
from program import linnet
from vendors.conftest import use

pytestmark = pytest.mark.vendors

PHOTOS = 100
LEAST_AGREEMENT = 0.99
# In the vendor's environment: a model on the HTP and on the CPU; prints the share of photos with the same label.
_COMPARE = """
import json, sys
import numpy as np
from pathlib import Path
from linnet_devices.api import OpenOptions
from linnet_devices.registry import load_device
from linnet_runtime.bundle import open_bundle
bundle, photos = open_bundle(Path(sys.argv[1]), absolute=True), np.load(sys.argv[2])
plain = next(a for a in bundle.artifacts if a.format == "onnx" and a.is_int8)
compiled = next(a for a in bundle.artifacts if a.compiled_for == "qnn:v73")
with load_device("cpu:onnx").open(plain.model(), OpenOptions()) as cpu:
    expected = cpu.run(photos).argmax(axis=1)
found = {}
for name, artifact in {"plain": plain, "compiled": compiled, "compiled again": compiled}.items():
    with load_device("ort:QNN").open(artifact.model(), OpenOptions()) as htp:
        placement = htp.placement
        found[name] = {
            "agreement": float((htp.run(photos).argmax(axis=1) == expected).mean()),
            "elsewhere": placement.elsewhere, "conversions": placement.conversions,
        }
print(json.dumps(found))
"""


@pytest.fixture(autouse=True)
def tool(qnn: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    use(qnn, monkeypatch)


class TestQnn(CompilerConformance):
    compiler, target = "qnn", "qnn:v73"


@pytest.fixture(scope="module")
def compiled(bundle_folder: Path, qnn: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's trained bundle, compiled."""
    bundle = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("qnn") / "parts.linnet"))
    linnet("compile", bundle, "--target", "qnn:v73", env=dict(os.environ) | {"LINNET_TOOLS": str(qnn.folder)})
    return bundle


def test_the_simulated_htp_gives_the_cpus_labels(
    compiled: Path, run_folder: Path, qnn: Environment, tmp_path: Path
) -> None:
    """Nothing but the conversion of the logits stays on the CPU."""
    np.save(tmp_path / "photos.npy", load_run_photos(run_folder)["val"].pixels[:PHOTOS])
    (tmp_path / "compare.py").write_text(_COMPARE)
    done = qnn.run("python", tmp_path / "compare.py", compiled, tmp_path / "photos.npy")
    for row in json.loads(done.stdout.splitlines()[-1]).values():
        assert row["agreement"] >= LEAST_AGREEMENT
        assert row["elsewhere"] == []
        assert row["conversions"] == ["DequantizeLinear: CPUExecutionProvider"]


def test_devices_says_that_it_is_simulated(qnn: Environment) -> None:
    code = "from linnet_devices.registry import probe; found = probe('ort:QNN'); print(found.available, found.tier)"
    assert qnn.run("python", "-c", code).stdout.split() == ["True", "simulator"]
