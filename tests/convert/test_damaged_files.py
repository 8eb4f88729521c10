"""Model files that are damaged: one line each, and this process lives on."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Kind, OpenSides
from linnet_convert.readers.examine import examine
from linnet_convert.readers.keras_config import check_layers
from program import Program, one_line_error


def refusal(read: Callable[[], object]) -> str | None:
    """The line with which a file is refused; None where it is read after all."""
    try:
        read()
    except ConversionError as error:
        return str(error)
    return None


def damaged(data: bytes, seed: int) -> bytes:
    """Cut short, or with flipped bits: every other one of them in the first part, where the structure is."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return data[: rng.integers(len(data))]
    spoilt = bytearray(data)
    for place in rng.integers(0, len(data) if seed % 2 else min(len(data), 4000), 1 if seed % 3 == 1 else 20):
        spoilt[place] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


@pytest.mark.parametrize(("kind", "cases"), [("tflite", 6), ("onnx", 4), ("openvino", 3)])
def test_a_damaged_file_is_refused_or_read_but_kills_nobody(
    kind: Kind, cases: int, whole_models: dict[str, Path], tmp_path: Path
) -> None:
    """Of 438 cases like these, none has crashed a reader; the child process is for the one that will."""
    data, refused = whole_models[kind].read_bytes(), 0
    path = tmp_path / whole_models[kind].name
    if kind == "openvino":
        path.with_suffix(".bin").write_bytes(whole_models[kind].with_suffix(".bin").read_bytes())
    for seed in range(cases):
        path.write_bytes(damaged(data, seed))
        line = refusal(lambda: examine(kind, path, OpenSides()))
        if line is not None:
            refused += 1
            assert line.startswith(str(path))
            assert "\n" not in line
    assert refused >= cases // 3, "those that are cut short at least"


@pytest.mark.parametrize("kind", ["tflite", "onnx", "openvino", "keras"])
@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more"], ids=["empty", "a zip's head"])
def test_a_file_of_something_else_gets_one_line(
    kind: str, content: bytes, whole_models: dict[str, Path], tmp_path: Path, program: Program
) -> None:
    path = tmp_path / f"model{whole_models[kind].suffix}"
    path.write_bytes(content)
    done = program("convert", path, "--out", tmp_path / "x.linnet", status=1)
    assert one_line_error(done).startswith(str(path))
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_reader_that_crashes_takes_nobody_along(tmp_path: Path) -> None:
    """Simulated: the child is one that aborts, as a library does on a file that it trusts too much."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos.abort()\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from linnet_convert.facts import OpenSides\n"
        "from linnet_convert.readers.examine import examine\n"
        "try:\n    examine('tflite', Path('model.tflite'), OpenSides())\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "model.tflite: got its reader was ended by SIGABRT, expected a complete model. Fix: make the file again"
    )


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_keras_file_is_refused(seed: int, whole_models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(damaged(whole_models["keras"].read_bytes(), seed))
    line = refusal(lambda: check_layers(path))
    if line is not None:
        assert line.startswith(str(path))
        return
    with zipfile.ZipFile(path) as archive:  # what no checksum covers: dates, attributes
        assert json.loads(archive.read("config.json"))
