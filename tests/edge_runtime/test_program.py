"""The program ``linnet``: its commands, its mistakes, and how little it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from linnet_runtime.cli import COMMANDS
from program import linnet, one_line_error

HEAVY = ("tensorflow", "keras", "onnx", "onnxruntime", "openvino", "matplotlib", "ai_edge_litert", "tflite_runtime")


def imported_by(code: str, *arguments: object) -> set[str]:
    """The top-level packages in a new interpreter after that code."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_the_runtime_imports_no_engine_and_nothing_of_training() -> None:
    imported = imported_by("import linnet_runtime")
    assert imported.isdisjoint(HEAVY)
    assert imported.isdisjoint({"linnet_train", "linnet_convert", "click", "rich"})


@pytest.mark.parametrize(
    ("device", "engine"),
    [("cpu:litert", "ai_edge_litert"), ("cpu:onnx", "onnxruntime"), ("cpu:openvino", "openvino")],
)
def test_classifying_imports_its_one_engine(device: str, engine: str, bundle_folder: Path, photos_folder: Path) -> None:
    classify = "from linnet_runtime.cli import main\nassert main(sys.argv[1:]) == 0"
    photo = photos_folder / "bolt" / "0000.jpg"
    imported = imported_by(classify, "classify", bundle_folder, photo, "--device", device)
    assert imported & set(HEAVY) == {engine}


@pytest.mark.parametrize("command", ["verify", "classify", "run", "bench", "devices"])
def test_help_imports_no_engine(command: str) -> None:
    imported = imported_by("from linnet_runtime.cli import main\nmain(sys.argv[1:])", command, "--help")
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(arguments: tuple[str, ...]) -> None:
    done = linnet(*arguments)
    for name, command in COMMANDS.items():
        assert any(line.split() == [name, *command.summary.split()] for line in done.stdout.splitlines()), name
    assert done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_table_explains_its_options(command: str) -> None:
    assert linnet(command, "--help").stdout.startswith(f"Usage: linnet {command} ")


def test_the_version_is_the_packages() -> None:
    assert linnet("--version").stdout == f"linnet, version {version('linnet')}\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--fast",), "No such option '--fast'"),
        (("classify",), "Missing argument 'BUNDLE'. Fix: linnet classify --help"),
        (("classify", "b.linnet"), "Missing argument 'FILES...'"),
        (("classify", "b.linnet", "p.jpg", "--devise", "cpu"), "No such option '--devise'"),
        (("classify", "b.linnet", "p.jpg", "--threads", "0"), "--threads: got 0, expected a whole number, at least 1."),
        (
            ("classify", "b.linnet", "p.jpg", "--precision", "int4"),
            "--precision: got 'int4', expected one of int8, float.",
        ),
        (
            ("run", "b.linnet", "--source", "0", "--frames", "0"),
            "--frames: got 0, expected a whole number, at least 1.",
        ),
        (
            ("train", "photos", "--out", "run", "--epochs", "ten"),
            "--epochs: got 'ten', expected a whole number, at least",
        ),
        (
            ("train", "photos", "--out", "run", "--dropout", "2"),
            "--dropout: got 2.0, expected a number, at least 0 and at",
        ),
        (("train", "photos", "--out", "run", "--learning-rate", "0"), "got 0.0, expected a number, above 0."),
        (("devices", "all"), "unexpected extra argument"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_one_line_and_exit_status_two(
    arguments: tuple[str, ...], error: str
) -> None:
    line = one_line_error(linnet(*arguments, status=2))
    assert error in line
    assert line.endswith("--help")


@pytest.mark.parametrize(
    ("command", "fix"), [("clasify", "linnet classify"), ("confert", "linnet convert"), ("zzz", "linnet --help")]
)
def test_an_unknown_command_is_one_line_with_the_nearest_name(command: str, fix: str) -> None:
    line = one_line_error(linnet(command, "bundle", status=2))
    assert line == f"linnet {command}: got no such command, expected one of {', '.join(COMMANDS)}. Fix: {fix}"


@pytest.mark.parametrize(
    "command",
    [("classify", "photo.jpg"), ("run", "--source", "synthetic:"), ("bench", "--quick"), ("verify",)],
    ids=lambda command: command[0],
)
def test_an_unknown_device_is_one_line_with_the_nearest_name(command: tuple[str, ...], small_bundle: Path) -> None:
    done = linnet(command[0], small_bundle, *command[1:], "--device", "cpu:litrt", status=1)
    line = one_line_error(done)
    assert line.startswith("--device: got 'cpu:litrt', expected one of ")
    assert line.endswith("Fix: --device cpu:litert")


def test_devices_says_what_is_here_and_what_is_only_simulated() -> None:
    report = json.loads(linnet("devices", "--json").stdout)
    devices = {row["device"]: row for row in report["devices"]}
    for name in ("cpu:litert", "cpu:onnx", "cpu:openvino"):
        assert devices[name]["available"] is True
        assert devices[name]["details"]["engine"]
    assert devices["fake"]["details"]["engine"] == "simulated"


def test_devices_shows_a_row_for_each() -> None:
    lines = linnet("devices").stdout.splitlines()
    assert lines[0].split()[:2] == ["device", "available"]
    assert {line.split()[0]: line.split()[1] for line in lines[1:] if not line.startswith(" ")}["cpu:litert"] == "yes"


def test_ctrl_c_that_falls_into_a_finaliser_stops_the_program_too() -> None:
    """Python only prints what a finaliser raises."""
    code = """
import signal, sys, time
from linnet_runtime import cli
class Finaliser:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
def command(**_):
    Finaliser()
    time.sleep(60)
cli.linnet.main = command
sys.exit(cli.main(["devices"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "error: stopped by ctrl-C")


def run_main(raised: str) -> subprocess.CompletedProcess[str]:
    """``linnet devices`` where the command raises this."""
    code = f"""
import errno, os, sys
from linnet_runtime import cli
def command(**_):
    raise {raised}
cli.linnet.main = command
sys.exit(cli.main(["devices"]))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        ("OSError(errno.EIO, os.strerror(errno.EIO), 'photo.jpg')", "photo.jpg: Input/output error"),
        ("OSError(errno.EMFILE, os.strerror(errno.EMFILE), b'caf\\xe9')", "caf\\xe9: Too many open files"),
        ("FileNotFoundError(errno.ENOENT, 'No usable temporary\\n directory')", "No usable temporary directory"),
        ("OSError('a library of ours failed')", "a library of ours failed"),
    ],
)
def test_an_operating_system_error_of_any_kind_is_one_line(raised: str, line: str) -> None:
    done = run_main(raised)
    assert (done.returncode, one_line_error(done)) == (1, line)


@pytest.mark.parametrize(("raised", "status"), [("SystemExit(3)", 3), ("SystemExit", 0), ("SystemExit('why')", 1)])
def test_a_library_that_ends_the_program_ends_it_with_its_own_status(raised: str, status: int) -> None:
    assert run_main(raised).returncode == status


@pytest.mark.parametrize(
    ("closed", "status"),
    [
        ("2>&-", 0),
        ("<&-", 0),
        ("<&- 2>&-", 0),
        (">&-", 1),  # what it wrote is lost
        ("<&- >&- 2>&-", 1),
        (">/dev/full", 1),
    ],
)
def test_a_closed_or_full_standard_stream_is_no_traceback(closed: str, status: int) -> None:
    command = f'"{sys.executable}" -m linnet_runtime.cli devices --json {closed}'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == (status == 1 and "2>" not in closed)
    assert "Traceback" not in done.stderr
    if status == 0:
        assert json.loads(done.stdout)


def test_what_a_library_writes_to_a_closed_standard_error_lands_in_no_file(tmp_path: Path) -> None:
    """The next file that is opened would get the number 2."""
    code = f"""
import os
from linnet_runtime.standard_streams import open_closed_streams
open_closed_streams()
with open({str(tmp_path / "results.txt")!r}, "w") as file:
    os.write(2, b"chatter")
    file.write("results")
"""
    subprocess.run(["/bin/sh", "-c", f'"{sys.executable}" -c "$0" 2>&-', code], check=True)
    assert (tmp_path / "results.txt").read_text() == "results"
