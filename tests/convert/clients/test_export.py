"""``linnet export``, and ``linnet convert --for``: what is written, and that the bundle stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from linnet_convert.clients import CLIENTS, export
from program import Program


def test_exporting_leaves_the_bundle_as_it_is_and_gives_the_same_files_again(bundle: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}

    before = contents()
    export(bundle, CLIENTS)
    first = contents()
    assert {path: data for path, data in first.items() if "for" not in path.relative_to(bundle).parts} == before
    assert {path.relative_to(bundle / "for").parts[0] for path in first.keys() - before.keys()} == set(CLIENTS)
    export(bundle, CLIENTS)
    assert contents() == first


def test_the_command_says_where_the_files_are_and_what_to_do_with_them(bundle: Path, program: Program) -> None:
    done = program("export", bundle, "--for", "frigate,pycoral", "--json")
    rows = json.loads(done.stdout)["exported"]
    assert [row["client"] for row in rows] == ["frigate", "pycoral"]
    assert [Path(row["folder"]) for row in rows] == [bundle / "for" / "frigate", bundle / "for" / "pycoral"]
    assert "model_cache" in program("export", bundle, "--for", "frigate").stdout


def test_convert_exports_too(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    out = tmp_path / "colors.linnet"
    done = program("convert", tiny_run, "--out", out, "--formats", "tflite", "--for", "mediapipe", "--json")
    assert [row["client"] for row in json.loads(done.stdout)["exported"]] == ["mediapipe"]
    assert (out / "for" / "mediapipe" / "model.tflite").is_file()


def test_exporting_needs_neither_tensorflow_nor_a_converter(bundle: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'onnx', 'onnxruntime', 'openvino'): sys.modules[name] = None\n"
        "from linnet_runtime.cli import main\n"
        f"sys.exit(main(['export', {str(bundle)!r}, '--for', {','.join(CLIENTS)!r}]))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
