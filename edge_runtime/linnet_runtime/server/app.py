"""The addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linnet_devices.api import LinnetError
from linnet_runtime.classifier import Classifier
from linnet_runtime.server.answers import HttpError, error_response, json_response
from linnet_runtime.server.board import Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.guard import Bodies, Guard
from linnet_runtime.server.inference import infer, model_metadata, server_metadata
from linnet_runtime.server.live_page import LivePage
from linnet_runtime.server.metrics import CONTENT_TYPE, ServerMetrics
from linnet_runtime.server.models import Models, ServedModel
from linnet_runtime.server.notify import notify, watchdog_interval_s
from linnet_runtime.server.openapi import openapi
from linnet_runtime.server.pictures import classify_upload
from linnet_runtime.server.pulse import Pulse
from linnet_runtime.server.repository import repository_routes
from linnet_runtime.server.settings import MEBI, ServeSettings
from linnet_runtime.server.tensors import BINARY_HEADER
from linnet_runtime.server.versions import Versions
from linnet_runtime.sinks.metrics import RunMetrics

Work = Callable[[Classifier], Response]
_VERSIONS = ("", "/versions/{version}")


class TooLate(HttpError):  # noqa: N818  # the status' own name
    """The answer was not ready in time."""

    status = 504


class Server:
    """What the addresses of one server share."""

    def __init__(self, models: Models, settings: ServeSettings, token: str | None, cameras: LiveCameras) -> None:
        """``cameras`` use the first of the models; the server opens them again when it changes. They are started with
        the server's ``board`` among their sinks.
        """
        stream = cameras.stream(models.first.name, models.classifier_of_cameras().bundle.labels)
        self.board = Board(RunMetrics(stream) if cameras.settings else None)
        self.models = models
        self.versions = Versions(models, self._changed)
        self.metrics = ServerMetrics(models)
        self.bodies = Bodies(int(settings.max_body_mb * MEBI), settings.timeout_s)
        self.page = LivePage(models, self.versions, cameras, self.board, self.bodies)
        self._cameras = cameras
        self._restarting = asyncio.Lock()
        self._settings = settings
        self._token = token

    def app(self) -> Starlette:
        """The ASGI application."""
        hosts = (self._settings.host, *self._settings.allow_hosts)
        app = Starlette(
            routes=[
                # Starlette tries them in order, and this one is asked for most often.
                Route("/v1/classify", self.classify, methods=["POST"]),
                *self._protocol(),
                *repository_routes(self.models, self.versions, self.bodies),
                *self.page.routes(),
                Route("/metrics", self.metrics_text),
                Route("/openapi.json", self.openapi),
            ],
            middleware=[Middleware(Guard, hosts=hosts, token=self._token)],
            exception_handlers={LinnetError: _refused, HTTPException: _no_such_address, Exception: _fault},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return app

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.versions.watch())]
        interval_s = watchdog_interval_s()
        if interval_s is not None:
            tasks.append(asyncio.create_task(self._stay_alive(interval_s)))
        notify("READY=1")
        yield
        notify("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stay_alive(self, interval_s: float) -> None:
        """Tells systemd's watchdog that the service works, as long as results come."""
        pulse = Pulse(self.models, self._cameras, self.board, self._settings.timeout_s)
        while True:
            if pulse.beats():
                notify("WATCHDOG=1")
            await asyncio.sleep(interval_s)

    async def _changed(self, model: ServedModel) -> None:
        """Has the cameras use what answers now, before the older version is closed."""
        if model is self.models.first:
            await self._restart_cameras()

    async def _restart_cameras(self) -> None:
        async with self._restarting:
            lane = self.models.first.lane
            if lane is None:
                await asyncio.to_thread(self._cameras.stop)
            else:
                await asyncio.to_thread(self._cameras.restart, lane.classifier)
            self.board.clear()

    def summary(self) -> dict[str, object]:
        """What was counted, for the last line of the output."""
        of_cameras = {"cameras": self._cameras.summary()} if self._cameras.settings else {}
        return self.metrics.summary() | of_cameras

    def _protocol(self) -> list[Route]:
        """The Open Inference Protocol: each address of a model with and without a version."""
        routes = [
            Route("/v2", self.metadata),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
        ]
        for version in _VERSIONS:
            model = "/v2/models/{name}" + version
            routes += [
                Route(model, self.model_metadata),
                Route(f"{model}/ready", self.model_ready),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]
        return routes

    async def metadata(self, request: Request) -> Response:
        return json_response(server_metadata())

    async def live(self, request: Request) -> Response:
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        ready = all(model.lane is not None for model in self.models)
        return json_response({"ready": ready}, 200 if ready else 503)

    async def model_ready(self, request: Request) -> Response:
        model = self.models.find(**request.path_params)
        ready = model.lane is not None
        return json_response({"name": model.name, "ready": ready}, 200 if ready else 503)

    async def model_metadata(self, request: Request) -> Response:
        lane = self.models.lane(**request.path_params)
        model = self.models.find(**request.path_params)
        return json_response(model_metadata(model, lane.classifier))

    async def metrics_text(self, request: Request) -> Response:
        text = await asyncio.to_thread(lambda: self.metrics.text() + self.board.metrics_text())
        return Response(text, media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        return json_response(openapi())

    async def infer(self, request: Request) -> Response:
        model = self.models.find(**request.path_params)
        stated = request.headers.get(BINARY_HEADER)

        def work(body: bytes) -> Work:
            return infer(body, stated, model.name, model.version)

        return await self._answer(request, model, work, request.path_params.get("version"))

    async def classify(self, request: Request) -> Response:
        names = [model.name for model in self.models]
        name = request.query_params.get("model", names[0] if len(names) == 1 else None)
        if name is None:
            raise HttpError("?model", got="none", expected=" or ".join(names))
        content_type = request.headers.get("content-type", "")
        return await self._answer(request, self.models.find(name), lambda body: classify_upload(body, content_type))

    async def _answer(
        self, request: Request, model: ServedModel, work: Callable[[bytes], Work], version: str | None = None
    ) -> Response:
        """Reads the body, queues the work that it asks for in the lane of its bundle, and counts the request."""
        started = time.monotonic()
        try:
            self.models.lane(model.name, version).refuse_if_full()  # before its body is read
            body = await self.bodies.read(request)
            # No await from here to submit(): another version may take over.
            future = self.models.lane(model.name, version).submit(work(body))
            async with asyncio.timeout(self._settings.timeout_s):
                response = await asyncio.wrap_future(future)
        except LinnetError as error:
            response = error_response(error)
        except TimeoutError:
            response = error_response(TooLate("no answer", got=f"{self._settings.timeout_s:g} s", expected="less"))
        except Exception:
            self.metrics.count(model.name, 500, time.monotonic() - started)
            raise
        self.metrics.count(model.name, response.status_code, time.monotonic() - started)
        return response


def _handler(answer: Callable[[Exception], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return answer(error)

    return handle


@_handler
def _refused(error: Exception) -> Response:
    assert isinstance(error, LinnetError)  # noqa: S101  # Starlette calls it for no other
    return error_response(error)


@_handler
def _no_such_address(error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # see above
    return json_response({"error": str(error.detail)}, error.status_code, error.headers)


@_handler
def _fault(error: Exception) -> Response:
    """A fault in Linnet: Starlette raises it again afterwards, so that it is in the log."""
    return json_response({"error": "an internal fault; the server's log has it"}, 500)
