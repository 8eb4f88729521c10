"""``linnet doctor``: walks from each piece of hardware to what runs a model on it, and says which link is broken.

Nothing is changed, and no model is opened. A library or a package that may take its process along is tried in another.
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
from linnet_runtime.doctor.system import System

__all__ = ["CHAINS", "Chain", "Link", "State", "System", "examine"]

CHAINS: dict[str, Callable[[System], Iterator[Link]]] = {
    "engines": check_engines,
    "opencv": check_opencv,
    "coral": check_coral,
    "delegates": check_delegates,
    "npu": check_npu,
    "gpu": check_gpu,
    "cameras": check_cameras,
    "picamera2": check_picamera,
    "host": check_host,
}
_WORST_FIRST: tuple[State, ...] = ("broken", "warning", "ok", "absent")


class Chain(msgspec.Struct, frozen=True):
    """A chain and its links, from the hardware to the engine. Its state is that of its worst link; a chain is absent
    where all of its links are.
    """

    chain: str
    state: State
    links: tuple[Link, ...]


def examine(system: System) -> Iterator[Chain]:
    """Walks each chain. Never raises for what is wrong with the system."""
    for name, check in CHAINS.items():
        links = tuple(check(system))
        states = {link.state for link in links}
        yield Chain(name, next(state for state in _WORST_FIRST if state in states), links)
