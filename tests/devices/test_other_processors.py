"""Engines on processors that this machine is not, emulated by qemu: int8 models compute the same on each.

Kernels differ by processor: an engine may be exact here and saturate on one without VNNI.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linnet_devices.testing.samples import expected_logits, load_models
from program import ROOT

QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
FORMATS = {"cpu:onnx": "onnx", "cpu:litert": "tflite", "cpu:openvino": "openvino"}
_LOGITS = """
import json, sys
from linnet_devices import OpenOptions, load_device
from linnet_devices.testing.samples import load_models, pattern_pictures

device, kind = sys.argv[1:]
(model,) = (model for model in load_models() if (model.format, model.precision) == (kind, "int8"))
with load_device(device).open(model, OpenOptions(threads=1)) as session:
    print(json.dumps(session.run(pattern_pictures()).tolist()))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 processors are emulated on x86-64 alone")
@pytest.mark.skipif(QEMU is None, reason="no qemu-x86_64: sudo apt install qemu-user-static")
@pytest.mark.parametrize(
    ("processor", "device", "steps"),
    [
        ("Nehalem", "cpu:litert", 1),  # SSE4.2
        ("Nehalem", "cpu:onnx", 1),
        ("Haswell", "cpu:litert", 1),  # AVX2 without VNNI
        ("Haswell", "cpu:onnx", 1),
        ("Haswell", "cpu:openvino", 1),
    ],
)
def test_an_emulated_processor_computes_the_int8_logits(processor: str, device: str, steps: int) -> None:
    python = Path(sys.executable).resolve()  # qemu starts no script
    paths = [str(ROOT / "devices"), *(path for path in sys.path if path.endswith("site-packages"))]
    code = f"import sys; sys.path[:0] = {paths!r}\n{_LOGITS}"
    command = [str(QEMU), "-cpu", processor, str(python), "-c", code, device, FORMATS[device]]
    check_logits(command, device, steps)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are instructions of x86-64")
@pytest.mark.parametrize("instructions", ["SSE41", "AVX2", "AVX512_CORE"])
def test_openvino_computes_the_int8_logits_without_vnni(instructions: str) -> None:
    """Where the sums of its int8 kernels saturate, and it computes integers as floats."""
    code = f"from linnet_devices.openvino import int8_saturates\nassert int8_saturates()\n{_LOGITS}"
    command = [sys.executable, "-c", code, "cpu:openvino", "openvino"]
    check_logits(command, "cpu:openvino", 1, ONEDNN_MAX_CPU_ISA=instructions)


def check_logits(command: list[str], device: str, steps: int, **environment: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    (model,) = (model for model in load_models() if (model.format, model.precision) == (FORMATS[device], "int8"))
    found = np.array(json.loads(done.stdout.splitlines()[-1]), np.float32)
    assert model.output.scale is not None
    np.testing.assert_allclose(found, expected_logits(model), rtol=0, atol=1.01 * steps * model.output.scale)
