"""Runs a vendor's tool in a separate process, within limits of time, memory and disk space."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linnet_convert.compilers.api import Job
from linnet_convert.errors import ConversionError

MOST_MEMORY_BYTES = 16 << 30
"""Address space of each of the tool's processes."""
_MOST_FILE_BYTES = 2 << 30
_MOST_SAID = 300  # characters of the tool's output in an error
_MOST_LOG_BYTES = 16 << 20  # more of a log is not read
_FAULTS = ("error", "fail", "exception", "not supported", "unsupported", "cannot")


def run_tool(job: Job, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str:
    """Runs a command in the folder of a job, and returns everything that it printed, which is also in ``job.log``.

    Raises:
        ConversionError: it cannot be started, takes longer than ``job.within_s``, or ends with another status than 0.
    """
    tool = Path(command[0]).name
    with job.log.open("wb") as log:
        try:
            child = subprocess.Popen(
                [*command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=job.folder,
                env=os.environ | (environment or {}),
                start_new_session=True,  # its own children are ended with it
            )
        except OSError as error:
            raise ConversionError(job.what, got=f"{tool} cannot be started: {error.strerror}") from error
        try:
            _limit(child.pid)
            status = child.wait(job.within_s)
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                job.what, got=f"no result of {tool} within {job.within_s:g} s", expected="a compiled model"
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    said = read_log(job.log)
    if status:
        raise ConversionError(job.what, got=f"{tool} {_ending(status, said)}", expected="a compiled model")
    return said


def read_result(job: Job, said: str) -> dict[str, Any]:
    """The JSON object that a script of ``vendor`` printed as its last line. Raises ConversionError without one."""
    try:
        result = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        result = None
    if not isinstance(result, dict):
        raise ConversionError(job.what, got=f"no result: {last_fault(said)}", expected="a compiled model")
    return result


def read_log(log: Path) -> str:
    """The text of a log, up to ``_MOST_LOG_BYTES``."""
    with log.open("rb") as file:
        return file.read(_MOST_LOG_BYTES).decode(errors="replace")


def last_fault(said: str) -> str:
    """The last line of a tool's output that reads like an error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    faults = [line for line in lines if any(word in line.lower() for word in _FAULTS)]
    return (faults or lines or ["it printed nothing"])[-1][:_MOST_SAID]


def _limit(pid: int) -> None:
    """Limits a process that was just started. This takes less time than the compiler needs to load."""
    limits = (
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in limits:
        with contextlib.suppress(
            ProcessLookupError, PermissionError, ValueError
        ):  # it has ended, or has lower limits already
            resource.prlimit(pid, kind, (most, most))


def _ending(status: int, said: str) -> str:
    if status < 0:
        name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
        return f"was ended by {name}: {last_fault(said)}"
    return f"ended with status {status}: {last_fault(said)}"
