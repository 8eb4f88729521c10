"""Vendors' programs that are simulated: shell scripts on the PATH, where the real one is not what is tested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Called as: vela MODEL --output-dir FOLDER ...
VELA = """
[ "$(head -c 8 "$1" | tail -c 4)" = TFL3 ] || { echo 'Error: not a model'; exit 1; }
name=$(basename "$1" .tflite)
cp "$1" "$3/${name}_vela.tflite"
printf 'inference_time,sram_memory_used,on_chip_flash_memory_used,dram_memory_used,off_chip_flash_memory_used\\n' \
    > "$3/${name}_summary_x.csv"
printf '0.002,10.5,0.0,3.0,1.0\\n' >> "$3/${name}_summary_x.csv"
echo "   CPU: Softmax = scores (outputs [1, 3])"
echo "CPU operators = 1 (10.0%)"
echo "NPU operators = 9 (90.0%)"
"""


# Called as: edgetpu_compiler --show_operations --out_dir FOLDER MODEL
EDGETPU_COMPILER = """
[ "$(head -c 8 "$4" | tail -c 4)" = TFL3 ] || { echo 'Invalid model: not a flatbuffer'; exit 1; }
cp "$4" "$3/$(basename "$4" .tflite)_edgetpu.tflite"
cat <<'END'
Edge TPU Compiler version 16.0.384591198
On-chip memory used for caching model parameters: 3.21MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Operator                       Count      Status

CONV_2D                        35         Mapped to Edge TPU
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to some limitation
END
"""


def put_program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a script on the PATH, before everything else."""
    program = folder / "simulated" / "bin" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("LINNET_TOOLS", raising=False)
    return program
