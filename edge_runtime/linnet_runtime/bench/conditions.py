"""The state of the machine while a row is measured: clock, temperature and the work of other programs. Internal."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from pathlib import Path

import msgspec

from linnet_runtime.machine import temperatures

_EVERY_S = 0.5
_NOISY_SHARE = 0.1  # a share of all cores
_THROTTLED_SHARE = 0.9  # a share of the clock at the start


class State(msgspec.Struct, frozen=True):
    """The machine at one moment. A figure that the system does not have is null."""

    frequency_mhz: float | None
    """The mean clock of the cores."""
    temperature_c: float | None
    """The temperature of the hottest zone."""
    governor: str | None
    """The governor that chooses the clock of the first core."""


class Conditions(msgspec.Struct, frozen=True):
    """The machine before, during and after a measurement."""

    before: State
    after: State
    lowest_frequency_mhz: float | None
    highest_temperature_c: float | None
    throttled: bool
    """Whether the clock fell below nine tenths of that at the start while the row was measured."""
    other_load: float
    """The mean number of cores that other programs, or other guests of a virtual machine's host, used meanwhile."""
    noisy: bool
    """Whether other programs used more than a tenth of the cores."""


class Watch:
    """Watches the machine in a thread from its creation to ``stop``. The work of this process, and of the
    processes that it starts and waits for in between, does not count as work of other programs.
    """

    def __init__(self, system: Path = Path("/")) -> None:
        self._system = system
        self._states = [read_state(system)]
        self._started, self._busy, self._own = time.monotonic(), _busy_s(system), _own_s()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="conditions", daemon=True)
        self._thread.start()

    def stop(self) -> Conditions:
        """Ends the watch."""
        self._stopping.set()
        self._thread.join()
        self._states.append(read_state(self._system))
        seconds = time.monotonic() - self._started
        other = max(0.0, (_busy_s(self._system) - self._busy - (_own_s() - self._own)) / seconds)
        clocks = [state.frequency_mhz for state in self._states if state.frequency_mhz is not None]
        heats = [state.temperature_c for state in self._states if state.temperature_c is not None]
        return Conditions(
            before=self._states[0],
            after=self._states[-1],
            lowest_frequency_mhz=min(clocks, default=None),
            highest_temperature_c=max(heats, default=None),
            throttled=bool(clocks) and min(clocks) < _THROTTLED_SHARE * clocks[0],
            other_load=round(other, 3),
            noisy=other > _NOISY_SHARE * (os.cpu_count() or 1),
        )

    def _watch(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._states.append(read_state(self._system))


def read_state(system: Path = Path("/")) -> State:
    """The state of the machine now; ``system`` is the folder with its ``sys`` and ``proc``."""
    policy = system / "sys/devices/system/cpu"
    clocks = []
    for file in policy.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"):
        with contextlib.suppress(OSError, ValueError):  # a core that is off
            clocks.append(int(file.read_text()) / 1e3)
    heat = temperatures(system / "sys/class/thermal")
    governor = None
    with contextlib.suppress(OSError):
        governor = (policy / "cpu0/cpufreq/scaling_governor").read_text().strip()
    return State(
        frequency_mhz=round(sum(clocks) / len(clocks), 1) if clocks else None,
        temperature_c=max(heat.values(), default=None),
        governor=governor,
    )


def _busy_s(system: Path) -> float:
    """The seconds that all cores have worked, plus those that the host of a virtual machine gave to others (steal)."""
    words = (system / "proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, kernel, _idle, _waiting, interrupt, soft_interrupt, stolen = map(int, words)
    return (user + nice + kernel + interrupt + soft_interrupt + stolen) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """The seconds of work of this process and of the processes that it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
