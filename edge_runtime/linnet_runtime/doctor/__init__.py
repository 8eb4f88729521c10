"""``linnet doctor``: checks each part from the hardware to the engine, and reports what is broken. Internal.

It changes nothing and opens no model. A library or a package that may end the process is loaded in a separate one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from linnet_runtime.doctor.cameras import check_cameras, check_picamera
from linnet_runtime.doctor.coral import check_coral
from linnet_runtime.doctor.delegates import check_delegates
from linnet_runtime.doctor.host import check_host
from linnet_runtime.doctor.intel import check_gpu, check_npu
from linnet_runtime.doctor.links import Link, State
from linnet_runtime.doctor.packages import check_engines, check_opencv
from linnet_runtime.doctor.qualcomm import check_qnn
from linnet_runtime.doctor.system import System

__all__ = ["CHAINS", "Chain", "Link", "State", "System", "examine"]

CHAINS: dict[str, Callable[[System], Iterator[Link]]] = {
    "engines": check_engines,
    "opencv": check_opencv,
    "coral": check_coral,
    "delegates": check_delegates,
    "npu": check_npu,
    "gpu": check_gpu,
    "qnn": check_qnn,
    "cameras": check_cameras,
    "picamera2": check_picamera,
    "host": check_host,
}
_WORST_FIRST: tuple[State, ...] = ("broken", "warning", "ok", "absent")


class Chain(msgspec.Struct, frozen=True):
    """The parts from a piece of hardware to its engine."""

    chain: str
    """Its name."""
    state: State
    """That of the worst link; ``"absent"`` where all links are."""
    links: tuple[Link, ...]


def examine(system: System) -> Iterator[Chain]:
    """Checks each chain. A fault of the system is reported in a link and never raised."""
    for name, check in CHAINS.items():
        links = tuple(check(system))
        states = {link.state for link in links}
        yield Chain(name, next(state for state in _WORST_FIRST if state in states), links)
