"""The Open Inference Protocol, version 2: what a model takes and gives, and the answer to a request."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from linnet_devices.api import Logits
from linnet_devices.chatter import no_chatter
from linnet_runtime.classifier import Classification, Classifier
from linnet_runtime.preprocess import decode_picture
from linnet_runtime.probabilities import probabilities
from linnet_runtime.server.answers import HttpError
from linnet_runtime.server.models import ServedModel
from linnet_runtime.server.tensors import (
    BINARY_HEADER,
    INPUT,
    InferRequest,
    OutputTensor,
    WantedOutput,
    read_image,
    read_request,
)

EXTENSIONS = ("binary_tensor_data", "classification", "model_repository")
OUTPUTS = ("probabilities", "logits")
_PLATFORMS = {"tflite": "litert_tflite", "onnx": "onnxruntime_onnx", "openvino": "openvino_ir"}


def server_metadata() -> dict[str, object]:
    """The answer to ``GET /v2``."""
    return {"name": "linnet", "version": version("linnet"), "extensions": EXTENSIONS}


def model_metadata(model: ServedModel, classifier: Classifier) -> dict[str, object]:
    """The answer to ``GET /v2/models/NAME``."""
    bundle, session = classifier.bundle, classifier.session
    classes = len(bundle.labels)
    return {
        "name": model.name,
        "versions": [str(model.version)],
        "platform": _PLATFORMS[session.model.format],
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [1, -1, -1, 3]}],
        "outputs": [{"name": name, "datatype": "FP32", "shape": [1, classes]} for name in OUTPUTS],
        "parameters": {
            "labels": bundle.labels,
            "height": bundle.preprocess.height,
            "width": bundle.preprocess.width,
            "crop": bundle.preprocess.crop,
            "device": session.device,
            "artifact": session.model.path.rpartition("/")[2],
        },
    }


def classify_picture(picture: bytes | NDArray[np.uint8], classifier: Classifier) -> Classification:
    """Labels an encoded picture, or RGB pixels uint8 [H, W, 3].

    Raises:
        PictureError: the picture cannot be decoded.
        DeviceError: the device failed.
    """
    if not isinstance(picture, bytes):
        return classifier.classify(picture, color="rgb")
    with no_chatter():
        pixels = decode_picture(picture, "the picture")
    return classifier.classify(pixels, color="bgr")


def infer(body: bytes, json_bytes: str | None, name: str, model_version: int) -> Callable[[Classifier], Response]:
    """The work of one inference request, for the lane of its bundle; see ``read_request``.

    The work raises HttpError for a wrong request, and as ``classify_picture``.
    """

    def work(classifier: Classifier) -> Response:
        request, binary = read_request(body, json_bytes)
        wanted = _wanted(request, len(classifier.bundle.labels))
        found = classify_picture(read_image(request, binary), classifier)
        outputs = [_output(found, output, classifier, request) for output in wanted]
        answer: dict[str, object] = {"model_name": name, "model_version": str(model_version)}
        if request.id is not None:
            answer["id"] = request.id
        answer["parameters"] = {"device": found.device, "artifact": found.artifact}
        answer["outputs"] = [output.json for output in outputs]
        return _response(answer, b"".join(output.data for output in outputs))

    return work


def _wanted(request: InferRequest, classes: int) -> tuple[WantedOutput, ...]:
    """The outputs that are asked for; all where none is named. Raises HttpError."""
    wanted = request.outputs or tuple(WantedOutput(name=name) for name in OUTPUTS)
    names = [output.name for output in wanted]
    if not set(names) <= set(OUTPUTS) or len(names) != len(set(names)):
        raise HttpError("$.outputs", got=", ".join(names)[:100], expected=" and ".join(OUTPUTS) + ", each once")
    for i, output in enumerate(wanted):
        best = output.parameters.get("classification", 1)
        if not isinstance(best, int) or isinstance(best, bool) or best < 1:
            where = f"$.outputs[{i}].parameters.classification"
            raise HttpError(where, got=repr(best)[:50], expected=f"a number of classes, 1 to {classes}")
    return wanted


def _output(found: Classification, output: WantedOutput, classifier: Classifier, request: InferRequest) -> OutputTensor:
    binary = output.parameters.get("binary_data", request.parameters.get("binary_data_output", False)) is True
    values: Logits = found.logits
    if output.name == "probabilities":
        values = probabilities(values, classifier.bundle.temperature, independent=found.independent)
    if best := output.parameters.get("classification"):
        labels = classifier.bundle.labels
        order = np.argsort(-values, kind="stable")[:best]
        return OutputTensor(output.name, [f"{values[i]:f}:{i}:{labels[i]}" for i in order], binary=binary)
    return OutputTensor(output.name, values[None], binary=binary)


def _response(answer: dict[str, object], binary: bytes) -> Response:
    head = msgspec.json.encode(answer)
    if not binary:
        return Response(head, media_type="application/json")
    headers = {BINARY_HEADER: str(len(head))}
    return Response(head + binary, headers=headers, media_type="application/octet-stream")
