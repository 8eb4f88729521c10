"""The protocol's model repository: the index of the bundles, and their loading and unloading.

Only the bundles that the command named can be loaded: a client never names a path.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linnet_runtime.server.answers import HttpError, json_response
from linnet_runtime.server.guard import Bodies
from linnet_runtime.server.models import Models
from linnet_runtime.server.versions import Versions

Kind = TypeVar("Kind")


class IndexRequest(msgspec.Struct, frozen=True):
    """The body of a request for the index."""

    ready: bool = False
    """Only the models that answer."""


class ChangeRequest(msgspec.Struct, frozen=True):
    """The body of a request to load or unload a model."""

    parameters: dict[str, Any] = {}


def repository_routes(models: Models, versions: Versions, bodies: Bodies) -> list[Route]:
    """The addresses of the repository."""

    async def index(request: Request) -> Response:
        wanted = _read(await bodies.read(request), IndexRequest)
        found = [model for model in models if model.lane is not None or not wanted.ready]
        return json_response(
            [
                {"name": model.name, "version": str(model.version), "state": model.state, "reason": model.reason}
                for model in found
            ]
        )

    async def load(request: Request) -> Response:
        model = models.find(request.path_params["name"])
        wanted = _read(await bodies.read(request), ChangeRequest)
        if wanted.parameters:
            got = ", ".join(wanted.parameters)[:100]
            raise HttpError("$.parameters", got=got, expected="none: a bundle is loaded from its folder")
        await versions.load(model)
        return json_response({"name": model.name, "version": str(model.version)})

    async def unload(request: Request) -> Response:
        model = models.find(request.path_params["name"])
        _read(await bodies.read(request), ChangeRequest)
        await versions.unload(model)
        return json_response({"name": model.name})

    return [
        Route("/v2/repository/index", index, methods=["POST"]),
        Route("/v2/repository/models/{name}/load", load, methods=["POST"]),
        Route("/v2/repository/models/{name}/unload", unload, methods=["POST"]),
    ]


def _read(body: bytes, kind: type[Kind]) -> Kind:
    """The JSON of a body, which may be empty. Raises HttpError."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError("the request's JSON", got=str(error)[:300], expected="an object") from error
