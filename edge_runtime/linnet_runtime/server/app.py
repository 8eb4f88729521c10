"""The addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linnet_devices.api import LinnetError
from linnet_runtime.classifier import Classifier
from linnet_runtime.server.answers import HttpError, error_response, json_response
from linnet_runtime.server.guard import Bodies, Guard
from linnet_runtime.server.inference import infer, model_metadata, server_metadata
from linnet_runtime.server.models import Models
from linnet_runtime.server.pictures import classify_upload
from linnet_runtime.server.settings import MEBI, ServeSettings
from linnet_runtime.server.tensors import BINARY_HEADER

Work = Callable[[Classifier], Response]


class TooLate(HttpError):  # noqa: N818  # the status' own name
    """The answer was not ready in time."""

    status = 504


class Server:
    """What the addresses of one server share."""

    def __init__(self, models: Models, settings: ServeSettings, token: str | None = None) -> None:
        self.models = models
        self._settings = settings
        self._bodies = Bodies(int(settings.max_body_mb * MEBI), settings.timeout_s)
        self._token = token

    def app(self) -> Starlette:
        """The ASGI application."""
        hosts = (self._settings.host, *self._settings.allow_hosts)
        app = Starlette(
            routes=[*self._protocol(), Route("/v1/classify", self.classify, methods=["POST"])],
            middleware=[Middleware(Guard, hosts=hosts, token=self._token)],
            exception_handlers={LinnetError: _refused, HTTPException: _no_such_address, Exception: _fault},
        )
        app.router.redirect_slashes = False
        return app

    def _protocol(self) -> list[Route]:
        """The Open Inference Protocol: each address of a model with and without a version."""
        routes = [
            Route("/v2", self.metadata),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
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
        ready = all(model.state == "READY" for model in self.models)
        return json_response({"ready": ready}, 200 if ready else 503)

    async def model_ready(self, request: Request) -> Response:
        model = self.models.find(**request.path_params)
        ready = model.state == "READY"
        return json_response({"name": model.name, "ready": ready}, 200 if ready else 503)

    async def model_metadata(self, request: Request) -> Response:
        lane = self.models.lane(**request.path_params)
        model = self.models.find(**request.path_params)
        return json_response(model_metadata(model, lane.classifier))

    async def infer(self, request: Request) -> Response:
        self.models.lane(**request.path_params)  # an unknown name is refused before its body is read
        stated = request.headers.get(BINARY_HEADER)
        if stated is not None and not (stated.isascii() and stated.isdecimal() and len(stated) < 12):
            raise HttpError(BINARY_HEADER, got=repr(stated[:20]), expected="a number of bytes")
        body = await self._bodies.read(request)
        model = self.models.find(**request.path_params)
        work = infer(body, None if stated is None else int(stated), model.name, model.version)
        return await self._answer(work, **request.path_params)

    async def classify(self, request: Request) -> Response:
        names = [model.name for model in self.models]
        name = request.query_params.get("model", names[0] if len(names) == 1 else None)
        if name is None:
            raise HttpError("?model", got="none", expected=" or ".join(names))
        self.models.lane(name)
        body = await self._bodies.read(request)
        return await self._answer(classify_upload(body, request.headers.get("content-type", "")), name)

    async def _answer(self, work: Work, name: str, version: str | None = None) -> Response:
        """Runs the work of a request in the lane of its bundle. Raises Busy, TooLate, and what the work raises."""
        future = self.models.lane(name, version).submit(work)  # no await between the two: a version may change
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise TooLate("no answer", got=f"{self._settings.timeout_s:g} s", expected="less") from error


def _handler(answer: Callable[[Exception], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    @functools.wraps(answer)
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
