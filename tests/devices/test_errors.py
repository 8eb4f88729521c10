"""The one line of an error: what, got, expected, fix."""

from __future__ import annotations

from typing import Any

import pytest

from linnet_devices.errors import DeviceError, DeviceUnavailable, LinnetError


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "threads"),
        ({"got": 0}, "threads: got 0"),
        ({"expected": "at least 1"}, "threads: expected at least 1"),
        ({"got": 0, "expected": "at least 1"}, "threads: got 0, expected at least 1"),
        ({"fix": "--threads 1"}, "threads. Fix: --threads 1"),
        (
            {"got": 0, "expected": "at least 1", "fix": "--threads 1"},
            "threads: got 0, expected at least 1. Fix: --threads 1",
        ),
        ({"got": "first\n  second\tthird  "}, "threads: got first second third"),  # an engine's own words
    ],
)
def test_the_line_has_what_is_known(parts: dict[str, Any], line: str) -> None:
    assert str(LinnetError("threads", **parts)) == line


def test_the_parts_stay_apart_for_those_who_show_them_otherwise() -> None:
    error = DeviceError("threads", got=0, expected="at least 1", fix="--threads 1")
    assert (error.what, error.got, error.expected, error.fix) == ("threads", 0, "at least 1", "--threads 1")


def test_one_except_clause_takes_every_error_of_linnet() -> None:
    assert issubclass(DeviceUnavailable, DeviceError)
    assert issubclass(DeviceError, LinnetError)
