"""The one line of an error: what, got, expected, fix."""

from __future__ import annotations

from typing import Any

import pytest

from linnet_devices.errors import DeviceError, DeviceUnavailable, LinnetError, Setting


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "threads"),
        ({"got": 0}, "threads: got 0"),
        ({"expected": "at least 1"}, "threads: expected at least 1"),
        ({"got": 0, "expected": "at least 1"}, "threads: got 0, expected at least 1"),
        ({"fix": "fewer"}, "threads. Fix: fewer"),
        (
            {"got": 0, "expected": "at least 1", "fix": "fewer"},
            "threads: got 0, expected at least 1. Fix: fewer",
        ),
        ({"got": "first\n  second\tthird  "}, "threads: got first second third"),  # an engine's own words
    ],
)
def test_the_line_has_what_is_known(parts: dict[str, Any], line: str) -> None:
    assert str(LinnetError("threads", **parts)) == line


def test_the_parts_stay_apart_for_those_who_show_them_otherwise() -> None:
    error = DeviceError("threads", got=0, expected="at least 1", fix="fewer")
    assert (error.what, error.got, error.expected, error.fix) == ("threads", 0, "at least 1", "fewer")


def test_a_parameter_is_shown_as_python_has_it_or_as_an_option_of_the_program() -> None:
    error = DeviceError(
        Setting("device", "coral"),
        got="2 of 3 operations on it",
        fix=("a model that the device takes", Setting("allow_fallback", True), Setting("require_placement", 0.66)),
    )
    line = "device='coral': got 2 of 3 operations on it. Fix: a model that the device takes, "
    assert str(error) == line + "or allow_fallback=True, or require_placement=0.66"
    line = "--device coral: got 2 of 3 operations on it. Fix: a model that the device takes, "
    assert error.line(options=True) == line + "or --allow-fallback, or --require-placement 0.66"


def test_parameters_that_are_needed_together_are_shown_together() -> None:
    """A value that only the user knows is "..." in Python, and a placeholder among the options."""
    needed = (Setting("labels", placeholder="FILE"), Setting("size", placeholder="PIXELS"))
    error = LinnetError("model.onnx", got="no labels, size in the file", fix=(needed,))
    assert str(error) == "model.onnx: got no labels, size in the file. Fix: labels=..., size=..."
    assert error.line(options=True) == "model.onnx: got no labels, size in the file. Fix: --labels FILE --size PIXELS"


def test_the_errors_of_several_tries_are_one_line() -> None:
    """Each is shown in the same way as the whole."""
    missing = DeviceUnavailable("no such board", fix=Setting("device", "cpu"))
    error = DeviceUnavailable(Setting("device", "auto"), reasons=[missing, "npu: no driver"])
    assert str(error) == "device='auto': got no such board. Fix: device='cpu'; npu: no driver"
    assert error.line(options=True) == "--device auto: got no such board. Fix: --device cpu; npu: no driver"


def test_one_except_clause_takes_every_error_of_linnet() -> None:
    assert issubclass(DeviceUnavailable, DeviceError)
    assert issubclass(DeviceError, LinnetError)


def test_signs_that_a_terminal_obeys_are_shown_and_not_written() -> None:
    """A file's name may hold them, and so may a bundle from elsewhere."""
    error = LinnetError("\x1b[2Jphoto\x07.jpg", got="a\0b\nc \x9b", expected="é")
    assert str(error) == r"\x1b[2Jphoto\x07.jpg: got a\x00b c \x9b, expected é"
