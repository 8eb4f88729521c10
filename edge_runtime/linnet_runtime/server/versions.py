"""The next version of a bundle: opened beside the one that answers, checked, and put in its place.

A request belongs to the version that answered when it was queued, so that none is lost. A version that cannot be
opened, or whose canaries fail, changes nothing: the version before stays. The index and the log have the reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from linnet_devices.api import LinnetError
from linnet_runtime.server.answers import Busy
from linnet_runtime.server.lane import Lane
from linnet_runtime.server.models import Models, ServedModel, Stamp, stamp

logger = logging.getLogger("linnet")

_LOOK_S = 1.0  # between two looks at the folders; a change counts when two of them agree

Release = Callable[[ServedModel], Awaitable[None]]


class Versions:
    """Loads and unloads bundles while the server runs. Everything is called in the thread of the server."""

    def __init__(self, models: Models, release: Release) -> None:
        """``release`` is awaited after a model has changed, before its older version is closed."""
        self._models = models
        self._release = release

    async def load(self, model: ServedModel, device: str | None = None) -> None:
        """Opens the bundle again as it is now on the disk, perhaps on another device, and lets it take over.

        Raises:
            Busy: it is being loaded.
            LinnetError: it cannot be opened, or its canaries fail: the version before stays.
        """
        if model.loading:
            raise Busy(f"model {model.name!r}", got="it is being loaded", expected="one load at a time")
        model.loading = True
        model.stamp = await asyncio.to_thread(stamp, model.path)
        try:
            lane = await self._open(model, device)
        except Exception as error:
            model.failed_loads += 1
            model.reason = str(error)
            kept = f"version {model.version} continues" if model.lane else "it is not loaded"
            logger.warning("%s: %s: %s", model.name, kept, error)
            if isinstance(error, LinnetError):
                raise
            raise LinnetError(f"model {model.name!r}", got=str(error), expected="a bundle that opens") from error
        finally:
            model.loading = False
        await self._retire(model, self._models.take_over(model, lane, device))
        logger.warning("%s: version %d answers, on %s", model.name, model.version, lane.classifier.session.device)

    async def unload(self, model: ServedModel) -> None:
        """Closes a bundle once it has answered what is queued."""
        before, model.lane = model.lane, None
        await self._retire(model, before)

    async def watch(self) -> None:
        """Loads a bundle whenever its folder or its manifest has been replaced, for ever."""
        seen: dict[str, Stamp] = {}
        while True:
            await asyncio.sleep(_LOOK_S)
            for model in self._models:
                now = await asyncio.to_thread(stamp, model.path)
                settled = seen.get(model.name) == now
                seen[model.name] = now
                if now and now != model.stamp and settled and model.lane is not None and not model.loading:
                    try:
                        await self.load(model)
                    except LinnetError:
                        continue  # it is logged and counted, and tried again when the folder changes again

    async def _open(self, model: ServedModel, device: str | None) -> Lane:
        opening = asyncio.get_running_loop().run_in_executor(None, self._models.open_lane, model, device)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:  # the server ends: a lane that opens later is closed
            opening.add_done_callback(_close_late)
            raise

    async def _retire(self, model: ServedModel, lane: Lane | None) -> None:
        await self._release(model)
        if lane is not None:
            await asyncio.to_thread(lane.close)


def _close_late(opening: asyncio.Future[Lane]) -> None:
    if opening.exception() is None:
        opening.result().close()
