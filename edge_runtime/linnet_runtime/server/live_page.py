"""The live page, and what it asks for: the state as server-sent events, pictures, and changes of settings.

Each stream sends the newest state at most five times a second, and waits while a slow browser reads: there is no
backlog. A picture is encoded once for all browsers.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from importlib import resources
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from linnet_devices.registry import probe_all
from linnet_runtime.decisions.regions import cut
from linnet_runtime.decisions.settings import Region
from linnet_runtime.server.answers import Busy, HttpError, NotFound, json_response
from linnet_runtime.server.board import Board, jpeg
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.guard import Bodies
from linnet_runtime.server.health import health
from linnet_runtime.server.models import Models, ServedModel
from linnet_runtime.server.versions import Versions

_EVERY_S = 0.2
_ALIVE_S = 10.0  # an unchanged state is sent again after so long, so that a browser notices a dead server
_MOST_STREAMS = 16
_PICTURE_WIDTH = 960
_NUMBER = re.compile("[0-9]{1,18}")


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a setting that the page asks for."""

    camera: str | None = None
    """The camera whose threshold changes."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Below this probability the label is unknown."""
    model: str | None = None
    """The model whose device changes."""
    device: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    """The device to open it on."""


class LivePage:
    """The addresses of the page."""

    def __init__(
        self,
        models: Models,
        versions: Versions,
        cameras: LiveCameras,
        board: Board,
        bodies: Bodies,
    ) -> None:
        self._models, self._versions = models, versions
        self._cameras, self._board, self._bodies = cameras, board, bodies
        self._streams = 0
        self._pictures: dict[str, tuple[float, bytes]] = {}
        self._encoding = asyncio.Lock()
        self._devices: list[dict[str, object]] | None = None
        self._ending = False
        self._rate = _Rate()

    def end(self) -> None:
        """Ends the streams, so that the server can end."""
        self._ending = True

    def routes(self) -> list[Route]:
        return [
            Route("/", self.page),
            Route("/live/stream", self.stream),
            Route("/live/picture", self.picture),
            Route("/live/snapshots/{number}", self.snapshot),
            Route("/live/devices", self.devices),
            Route("/live/settings", self.change, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        return Response(_PAGE, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")

    async def stream(self, request: Request) -> Response:
        if self._streams >= _MOST_STREAMS:
            raise Busy("the live page", got=f"{self._streams} browsers", expected=f"less than {_MOST_STREAMS}")
        return StreamingResponse(self._states(), media_type="text/event-stream")

    async def _states(self) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            before, sent_at = b"", 0.0
            while not self._ending:
                state = msgspec.json.encode(self.state())
                if state != before or time.monotonic() - sent_at > _ALIVE_S:
                    before, sent_at = state, time.monotonic()
                    yield b"data: " + state + b"\n\n"
                await asyncio.sleep(_EVERY_S)
        finally:
            self._streams -= 1

    def state(self) -> dict[str, object]:
        """All that the page shows, but for pictures."""
        cameras, board = self._cameras, self._board
        summary = cameras.summary()
        rate = self._rate.add(summary.get("frames_classified", 0))
        counters = ("frames_read", "frames_classified", "frames_dropped", "frames_too_old", "frames_damaged")
        return {
            "health": [msgspec.to_builtins(statement) for statement in health(self._models, cameras, board, rate)],
            "models": [_model_state(model) for model in self._models],
            "cameras": [
                {
                    "name": settings.name,
                    "regions": [_region_state(region) for region in settings.region],
                    "threshold": settings.decision.threshold,
                    "trouble": any(event.camera == settings.name for event in board.troubles()),
                }
                for settings in cameras.settings
            ],
            "results": board.results(),
            "counters": {key: summary[key] for key in (*counters, "source_reopened") if key in summary},
            "fps": None if rate is None else round(rate, 1),
            "recent": {name: times and _rounded(times) for name, times in cameras.recent().items()},
            "events": [shown.to_json() for shown in board.events()],
        }

    async def picture(self, request: Request) -> Response:
        camera = request.query_params.get("camera", "")
        settings = self._cameras.find(camera)
        frame = self._cameras.newest_frame(camera)
        if frame is None:
            return Response(status_code=204)
        async with self._encoding:
            taken, encoded = self._pictures.get(camera, (0.0, b""))
            if taken != frame.captured_monotonic:
                turned = cut(frame.pixels, None, settings.rotate)
                encoded = await asyncio.to_thread(jpeg, frame, _PICTURE_WIDTH, turned)
                self._pictures[camera] = (frame.captured_monotonic, encoded)
        return Response(encoded, media_type="image/jpeg")

    async def snapshot(self, request: Request) -> Response:
        number = request.path_params["number"]
        encoded = self._board.snapshot(int(number)) if _NUMBER.fullmatch(number) else None
        if encoded is None:
            raise NotFound(f"snapshot {number[:20]}", got="none", expected="one of a recent event")
        return Response(encoded, media_type="image/jpeg")

    async def devices(self, request: Request) -> Response:
        if self._devices is None:
            found = await asyncio.to_thread(probe_all)
            self._devices = [{"name": name, "available": probe.available} for name, probe in found.items()]
        return json_response(self._devices)

    async def change(self, request: Request) -> Response:
        try:
            change = msgspec.json.decode(await self._bodies.read(request), type=_Change)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HttpError("the request's JSON", got=str(error)[:300], expected="a setting") from error
        of_model, of_camera = (change.model, change.device), (change.camera, change.threshold)
        if change.model is not None and change.device is not None and of_camera == (None, None):
            await self._versions.load(self._models.find(change.model), change.device)
        elif change.camera is not None and change.threshold is not None and of_model == (None, None):
            self._cameras.change_threshold(change.camera, change.threshold)
        else:
            raise HttpError(
                "the request's JSON", got="no setting", expected="camera and threshold, or model and device"
            )
        return json_response({"changed": True})


class _Rate:
    """Results per second, over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=11)

    def add(self, count: int) -> float | None:
        """Takes the count of all results so far, and returns the rate; None in the first second."""
        now = time.monotonic()
        if self._samples and count < self._samples[-1][1]:  # the cameras were opened again
            self._samples.clear()
        if not self._samples or now - self._samples[-1][0] >= 1:
            self._samples.append((now, count))
        since, before = self._samples[0]
        return (count - before) / (now - since) if now - since >= 1 else None


def _model_state(model: ServedModel) -> dict[str, object]:
    state: dict[str, object] = {
        "name": model.name,
        "version": model.version,
        "state": model.state,
        "loading": model.loading,
        "wanted": model.device,
    }
    if model.lane is None:
        return state
    session = model.lane.classifier.session
    placement = session.placement
    return state | {
        "device": session.device,
        "artifact": session.model.path.rpartition("/")[2],
        "on_device": placement.on_device,
        "operations": placement.total,
        "held": model.lane.held,
    }


def _region_state(region: Region) -> dict[str, Any]:
    return {"name": region.name, "rectangle": region.rectangle, "polygon": region.polygon}


def _rounded(times: dict[str, float]) -> dict[str, float]:
    return {name: round(ms, 2) for name, ms in times.items()}


def _hash_of(tag: str, page: str) -> str:
    """The source expression of Content-Security-Policy that allows the page's one element of that name."""
    found = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    if found is None:
        raise ValueError(f"the page has no <{tag}>")
    return "'sha256-" + base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode() + "'"


_PAGE = (resources.files("linnet_runtime.server") / "page.html").read_text(encoding="utf-8")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_hash_of('script', _PAGE)}",
        f"style-src {_hash_of('style', _PAGE)}",
        "img-src blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
