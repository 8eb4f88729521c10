"""What engines write to standard error although nothing is wrong does not reach the user; what is wrong does.

They write to the file descriptor, so the tests look at it and not at ``sys.stderr``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from linnet_devices.chatter import no_chatter

CHATTER = [
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795245462.644332   11785 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1795245462.644332   11785 cuda.cc:1] no driver",
    "2026-01-31 12:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] optimized",
    "To enable the following instructions: AVX2, rebuild TensorFlow",
    "[h264 @ 0x55d0c8e0] error while decoding MB 11 20",
    "libpng error: Read Error",
]
NEWS = [
    "ERROR: the board is too hot",
    "E0000 00:00:1795245707.481482   15116 text_format.cc:417] Error parsing",
    "2026-01-31 12:00:00.123456: E tensorflow/core/framework/op.cc:1] no kernel",
    "Segmentation fault",
    "a line with INFO: inside",
    "",
]


@pytest.mark.parametrize("line", CHATTER)
def test_chatter_is_kept_from_the_terminal_and_given_to_the_caller(line: str, capfd: pytest.CaptureFixture) -> None:
    with no_chatter() as chatter:
        os.write(2, f"{line}\n".encode())
    assert capfd.readouterr().err == ""
    assert chatter == [line]


@pytest.mark.parametrize("line", NEWS)
def test_anything_else_is_written_after_all(line: str, capfd: pytest.CaptureFixture) -> None:
    with no_chatter() as chatter:
        os.write(2, f"{CHATTER[0]}\n{line}\n".encode())
        assert capfd.readouterr().err == ""  # held back until the end
    assert capfd.readouterr().err == f"{line}\n"
    assert chatter == CHATTER[:1]


def test_lines_keep_their_order_and_their_bytes(capfdbinary: pytest.CaptureFixture) -> None:
    lines = b"one\nINFO: x\n\xff\xfe not UTF-8\nthe last one without an end"
    with no_chatter():
        os.write(2, lines)
    assert capfdbinary.readouterr().err == lines.replace(b"INFO: x\n", b"")


def test_an_error_comes_through_with_what_was_said_before_it(capfd: pytest.CaptureFixture) -> None:
    def fail() -> None:
        with no_chatter():
            os.write(2, b"the last words\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert capfd.readouterr().err == "the last words\n"


def test_pythons_own_standard_error_is_held_in_the_same_order(capfd: pytest.CaptureFixture) -> None:
    print("before", file=sys.stderr)
    with no_chatter():
        os.write(2, b"inside\n")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "before\ninside\nafter\n"


def test_blocks_within_blocks_give_standard_error_back(capfd: pytest.CaptureFixture) -> None:
    with no_chatter() as outer:
        with no_chatter() as inner:
            os.write(2, b"INFO: inner\nnews\n")
        os.write(2, b"INFO: outer\n")
    os.write(2, b"INFO: outside\n")
    assert capfd.readouterr().err == "news\nINFO: outside\n"
    assert (inner, outer) == (["INFO: inner"], ["INFO: outer"])


def test_a_block_waits_for_another_threads(capfd: pytest.CaptureFixture) -> None:
    """Overlapping, the second to end would put back the file of the first, and standard error would be lost."""
    entered, first_has_left = threading.Event(), threading.Event()

    def second() -> None:
        with no_chatter():
            entered.set()
            first_has_left.wait()
            os.write(2, b"second\n")

    thread = threading.Thread(target=second)
    with no_chatter():
        thread.start()
        overlapped = entered.wait(timeout=0.1)
        os.write(2, b"first\n")
    first_has_left.set()
    thread.join()
    os.write(2, b"after\n")
    assert not overlapped
    assert capfd.readouterr().err == "first\nsecond\nafter\n"


def test_a_block_leaves_no_file_open() -> None:
    def lowest_free() -> int:
        descriptor = os.dup(2)
        os.close(descriptor)
        return descriptor

    before = lowest_free()
    with no_chatter():
        pass
    assert lowest_free() == before


def test_a_service_without_a_standard_error_runs() -> None:
    program = "import os; os.close(2)\nfrom linnet_devices.chatter import no_chatter\nwith no_chatter(): print('ran')"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "ran\n"


def test_opening_and_running_a_model_says_nothing() -> None:
    """LiteRT greets on the first interpreter of a process."""
    program = """
from linnet_devices import OpenOptions, load_device
from linnet_devices.testing.samples import color_pictures, load_models
for model in load_models():
    name = {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}[model.format]
    with load_device(name).open(model, OpenOptions()) as session:
        session.run(color_pictures())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
