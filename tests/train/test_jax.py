"""Training on JAX, without TensorFlow: the same commands, the same steps, and models that TensorFlow converts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from jax_process import PROGRAM, jax_process, training_steps
from linnet_runtime.run_files import load_run_photos
from linnet_train.quantization import fake_quantize_layers
from networks import TINY
from once import made_once
from program import Program

TRAINING = (*TINY, "--epochs", 4, "--qat-epochs", 2)

# linnet train, then what both models make of the validation photos, then the steps that TensorFlow does here too.
SCRIPT = f"""
{PROGRAM}
import jax_process, keras, numpy as np
from pathlib import Path
from linnet_runtime.run_files import load_run_photos
from linnet_train.backend import uses_xla
assert keras.backend.backend() == "jax" and uses_xla() and "tensorflow" not in sys.modules
run = Path(sys.argv[4])
pixels = load_run_photos(run)["val"].pixels
for name in ("float", "qat"):
    model = keras.saving.load_model(run / f"{{name}}.keras", compile=False)
    np.save(run.parent / f"{{name}}.npy", model.predict(pixels, verbose=0))
np.savez(run.parent / "steps.npz", **jax_process.training_steps())
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(scope="module")
def trained(easy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with run/, float.npy, qat.npy and steps.npz, from a process with JAX; not to be written to."""

    def make(folder: Path) -> None:
        jax_process(folder, SCRIPT, "train", easy_photos, "--out", folder / "run", *TRAINING)

    return made_once(tmp_path_factory, "jax", make)


def test_a_run_says_that_it_ran_on_jax(trained: Path) -> None:
    assert json.loads((trained / "run" / "config.json").read_text())["backend"] == "jax"


@pytest.mark.parametrize("name", ["float", "qat"])
def test_a_run_on_jax_learns(trained: Path, name: str) -> None:
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics[name]["top1"] >= 10 / 12


@pytest.mark.parametrize("name", ["float", "qat"])
def test_tensorflow_computes_what_jax_computed(trained: Path, name: str) -> None:
    """The float model but for the last digits; the quantized one but for a step where a value falls between two."""
    model = keras.saving.load_model(trained / "run" / f"{name}.keras", compile=False)
    here = model.predict(load_run_photos(trained / "run")["val"].pixels, verbose=0)
    tolerance = 1e-4
    if name == "qat":
        *_, last = fake_quantize_layers(model)
        tolerance = float(last.maximum - last.minimum) / 255 * 1.01
    np.testing.assert_allclose(here, np.load(trained / f"{name}.npy"), rtol=0, atol=tolerance)


def test_tensorflow_converts_what_jax_trained(trained: Path, tmp_path: Path, program: Program) -> None:
    """With parity, without which no bundle is written."""
    program("convert", trained / "run", "--out", tmp_path / "colours.linnet")
    parity = program("verify", tmp_path / "colours.linnet", "--data", trained / "run", "--json")
    assert json.loads(parity.stdout)["passed"]


@pytest.fixture(scope="module")
def steps(trained: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same training steps on TensorFlow and on JAX."""
    return training_steps(), dict(np.load(trained / "steps.npz"))


def test_float_steps_are_those_of_tensorflow(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    here, there = steps
    np.testing.assert_allclose(there["float losses"], here["float losses"], rtol=1e-5)
    np.testing.assert_allclose(there["float logits"], here["float logits"], rtol=0, atol=1e-3)


def test_calibrated_ranges_are_those_of_tensorflow(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """JAX observes in a compiled pass, TensorFlow operation by operation."""
    here, there = steps
    assert (here["calibrated"][:, 1] > here["calibrated"][:, 0]).all()
    np.testing.assert_allclose(there["calibrated"], here["calibrated"], rtol=0, atol=1e-3)


def test_quantised_steps_are_those_of_tensorflow(steps: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """But for values that fall between two levels, which each backend rounds in its own way."""
    here, there = steps
    np.testing.assert_allclose(there["int8 losses"], here["int8 losses"], rtol=2e-3)
    np.testing.assert_allclose(there["ranges"], here["ranges"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(there["int8 logits"], here["int8 logits"], rtol=0, atol=10 * float(here["step"][0]))


@pytest.mark.parametrize("backend", ["torch", "thenao"])
def test_another_backend_gets_one_line(
    backend: str, easy_photos: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    done = program("train", easy_photos, "--out", tmp_path / "run", *TRAINING, status=1)
    assert done.stderr == f"error: KERAS_BACKEND: got {backend}, expected tensorflow or jax\n"
