"""Processes in which Keras runs on JAX, and what is computed in them and here alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

import networks  # noqa: F401  # the tiny network
from linnet_train.backend import uses_xla
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, fake_quantize_layers, freeze_ranges, move_ranges, quantize
from linnet_train.training.precision import for_disk, for_training
from program import ROOT

# An environment without TensorFlow, as far as Python can tell.
_HIDES_TENSORFLOW = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] == "tensorflow" else find(name, *rest)
"""
# Compiling is nearly all that these processes do.
_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

PROGRAM = "import sys, networks\nfrom linnet_runtime.cli import main\nassert main(sys.argv[1:]) == 0\n"
"""``linnet`` with the tiny network in its registry."""


def jax_process(folder: Path, script: str, *arguments: object, devices: int = 1) -> subprocess.CompletedProcess[str]:
    """Runs a Python script in a process with JAX, so many simulated devices and no TensorFlow, and fails where it does;
    ``folder`` is for what that needs.
    """
    (folder / "sitecustomize.py").write_text(_HIDES_TENSORFLOW)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{_XLA} --xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def training_steps() -> dict[str, NDArray[np.float32]]:
    """A few steps of the tiny network in float and a few in int8, from weights that NumPy made: the losses, the ranges
    and the logits at the end, and the step of the int8 ones.
    """
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 3, 32)
    start = build_model("tiny", classes=3, size=32)
    for layer in start.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            fan_in = np.prod(layer.kernel.shape[:-1])
            layer.kernel.assign(rng.normal(0, fan_in**-0.5, layer.kernel.shape))
    found = {}
    floats = for_training(start)
    found["float losses"] = _fit(floats, pixels, labels)
    found["float logits"] = floats.predict(pixels, verbose=0)
    int8 = quantize(for_disk(floats))
    calibrate(int8, np.concatenate([pixels, pixels[:16] // 2]))  # two batches, of other sizes and extremes
    found["calibrated"] = _ranges(int8)
    move_ranges(int8)
    found["int8 losses"] = _fit(int8, pixels, labels)
    freeze_ranges(int8)
    found["int8 logits"] = int8.predict(pixels, verbose=0)
    ranges = _ranges(int8)
    return {**found, "ranges": ranges, "step": np.diff(ranges[-1]) / 255}


def _ranges(int8: keras.Model) -> NDArray[np.float64]:
    return np.array([(float(layer.minimum), float(layer.maximum)) for layer in fake_quantize_layers(int8)])


def _fit(model: keras.Model, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, jit_compile=uses_xla())
    history = model.fit(pixels, labels, batch_size=8, shuffle=False, verbose=0)
    return np.array(history.history["loss"])
