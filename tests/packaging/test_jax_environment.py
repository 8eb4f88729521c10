"""A machine that trains on JAX: the wheel with [jax], and no TensorFlow. Opt-in, because it installs 700 MB."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from environments import Environment, make_environment
from networks import write_easy_photos
from once import made_once
from program import ROOT

pytestmark = pytest.mark.jax_environment


@pytest.fixture(scope="module")
def jax(wheel: Path, registry: None, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with JAX, in the versions of constraints.txt."""

    def make(folder: Path) -> None:
        make_environment(folder, f"{wheel}[jax]", ROOT / "constraints.txt")

    return Environment(made_once(tmp_path_factory, "jax-environment", make))


def test_it_holds_no_tensorflow(jax: Environment) -> None:
    done = jax.run("python", "-c", "import tensorflow", status=1)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'tensorflow'"


def test_it_trains_on_jax_unasked(jax: Environment, tmp_path: Path) -> None:
    photos, run = tmp_path / "colours", tmp_path / "run"
    write_easy_photos(photos)
    recipe = "--model lenet5 --size 32 --weights none --epochs 4 --qat-epochs 1 --batch-size 9 --learning-rate 0.01"
    jax.run("linnet", "train", photos, "--out", run, *recipe.split())
    assert json.loads((run / "config.json").read_text())["backend"] == "jax"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["float"]["top1"] >= 10 / 12
    assert (run / "qat.keras").exists()


def test_conversion_names_the_extra_that_it_needs(jax: Environment, tmp_path: Path) -> None:
    done = jax.run("linnet", "convert", tmp_path, "--out", tmp_path / "colours.linnet", status=1)
    assert done.stderr.endswith("Fix: pip install 'linnet[convert]'\n")


def test_the_networks_are_listed(jax: Environment) -> None:
    listed = json.loads(jax.run("linnet", "models", "--json").stdout)["networks"]
    assert {"mobilenet_v2", "resnet8"} <= {row["name"] for row in listed}
