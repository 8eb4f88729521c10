"""The server's own description, ``/openapi.json``: OpenAPI 3.1."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_FREE: dict[str, Any] = {"type": "object"}
_MOST_VALUES = 3 * 50_000_000


def openapi() -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Linnet",
            "version": version("linnet"),
            "description": "Bundles over HTTP: the Open Inference Protocol v2, and pictures to labels.",
        },
        "security": [{}, {"token": []}],
        "paths": _protocol_paths() | _repository_paths() | _own_paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _protocol_paths() -> dict[str, Any]:
    paths = {
        "/v2": _get("The server's name and extensions", _FREE),
        "/v2/health/live": _get("Whether the server answers", _FREE),
        "/v2/health/ready": _get("Whether every model answers", _FREE, 503),
    }
    for tail, more in (("", []), ("/versions/{version}", [_in_path("version")])):
        model = "/v2/models/{name}" + tail
        of_model = [_in_path("name"), *more]
        paths |= {
            model: _get("A model's input and outputs", _FREE, 404, 503, parameters=of_model),
            f"{model}/ready": _get("Whether a model answers", _FREE, 404, 503, parameters=of_model),
            f"{model}/infer": _post(
                "Infer: one picture, as pixels or as an encoded file",
                {"application/json": _reference("InferRequest"), "application/octet-stream": {}},
                {"application/json": _reference("InferResponse"), "application/octet-stream": {}},
                *(400, 404, 408, 413, 422, 503, 504),
                parameters=[*of_model, _header("Inference-Header-Content-Length", {"type": "integer", "minimum": 0})],
            ),
        }
    return paths


def _repository_paths() -> dict[str, Any]:
    index = {"type": "array", "items": _reference("IndexEntry")}
    change = {"application/json": {"type": "object", "properties": {"parameters": _FREE}}}
    wanted = {"application/json": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}
    name = [_in_path("name")]
    one = "/v2/repository/models/{name}"
    statuses = (400, 404, 408, 413, 503)
    return {
        "/v2/repository/index": _post("The models and their states", wanted, _json(index), 400, 408, 413, 503),
        f"{one}/load": _post("Load a bundle's next version", change, _json(_FREE), *statuses, parameters=name),
        f"{one}/unload": _post("Unload a bundle", change, _json(_FREE), *statuses, parameters=name),
    }


def _own_paths() -> dict[str, Any]:
    file = {"type": "string", "contentMediaType": "image/*"}
    form = {"type": "object", "properties": {"picture": file}, "required": ["picture"]}
    upload = {"application/octet-stream": {}, "image/jpeg": {}, "image/png": {}, "multipart/form-data": form}
    model = {"name": "model", "in": "query", "schema": _TEXT}
    metrics = _get("Metrics in Prometheus' text format", _TEXT)
    metrics["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return {
        "/v1/classify": _post(
            "Label a picture file",
            upload,
            _json(_reference("Classification")),
            *(400, 404, 408, 413, 422, 503, 504),
            parameters=[model],
        ),
        "/metrics": metrics,
        "/openapi.json": _get("This document", _FREE),
    }


def _schemas() -> dict[str, Any]:
    shape = {"type": "array", "items": {"type": "integer"}, "maxItems": 4}
    tensor = {
        "name": {"const": "image"},
        "shape": shape,
        "datatype": {"enum": ["UINT8", "BYTES"]},
        "parameters": _FREE,
        "data": {"type": "array", "maxItems": _MOST_VALUES},
    }
    wanted = {"name": {"enum": ["probabilities", "logits"]}, "parameters": _FREE}
    output = {"name": _TEXT, "shape": shape, "datatype": _TEXT, "parameters": _FREE, "data": {"type": "array"}}
    label = _object({"label": _TEXT, "probability": _NUMBER}, "label", "probability")
    return {
        "InferRequest": _object(
            {
                "id": _TEXT,
                "parameters": _FREE,
                "inputs": _list(_object(tensor, "name", "shape", "datatype"), minItems=1, maxItems=1),
                "outputs": _list(_object(wanted, "name"), maxItems=2),
            },
            "inputs",
        ),
        "InferResponse": _object(
            {
                "model_name": _TEXT,
                "model_version": _TEXT,
                "id": _TEXT,
                "parameters": _FREE,
                "outputs": _list(_object(output, "name", "shape", "datatype")),
            },
            *("model_name", "outputs"),
        ),
        "Classification": _object(
            {
                "source": _TEXT,
                "label": _TEXT,
                "probability": _NUMBER,
                "top": _list(label),
                "device": _TEXT,
                "artifact": _TEXT,
                "independent": {"type": "boolean"},
            },
            *("label", "probability", "top", "device", "artifact"),
        ),
        "IndexEntry": _object(
            {
                "name": _TEXT,
                "version": _TEXT,
                "state": {"enum": ["READY", "LOADING", "UNAVAILABLE"]},
                "reason": _TEXT,
            },
            *("name", "version", "state", "reason"),
        ),
        "Error": _object({"error": _TEXT}, "error"),
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: dict[str, Any], **limits: int) -> dict[str, Any]:
    return {"type": "array", "items": items, **limits}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": schema}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _header(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": schema}


def _content(kinds: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema} if schema else {} for kind, schema in kinds.items()}


def _responses(kinds: dict[str, Any], statuses: tuple[int, ...]) -> dict[str, Any]:
    error = {"description": "The reason", "content": _content(_json(_reference("Error")))}
    answers = {str(status): error for status in (*statuses, 401, 403, 421)}
    return {"200": {"description": "The answer", "content": _content(kinds)}} | answers


def _get(
    summary: str, schema: dict[str, Any], *statuses: int, parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    operation = {"summary": summary, "responses": _responses(_json(schema), statuses)}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _post(
    summary: str,
    body: dict[str, Any],
    answer: dict[str, Any],
    *statuses: int,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": _responses(answer, statuses)}
    operation["requestBody"] = {"content": _content(body)}
    return {"post": operation | ({"parameters": parameters} if parameters else {})}
