"""``linnet serve``: the Open Inference Protocol and ``/v1/classify``, asked as clients ask them."""

from __future__ import annotations

import base64
import json
import signal
import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.server_process import RunningServer, serving
from edge_runtime.simulated_camera import picture_of, pixels_of
from edge_runtime.small_bundle import LABELS, SIDE, write_small_bundle
from linnet_runtime.server.run import listen
from linnet_runtime.server.settings import ServeSettings
from program import linnet, one_line_error

INFER = "/v2/models/small/infer"


def request_of(data: Any, datatype: str = "UINT8", shape: tuple[int, ...] = (1, SIDE, SIDE, 3)) -> dict[str, Any]:
    return {"inputs": [{"name": "image", "shape": shape, "datatype": datatype, "data": data}]}


def test_the_server_describes_itself_and_is_ready(server: RunningServer) -> None:
    assert server.get("/v2").json["name"] == "linnet"
    assert {"binary_tensor_data", "classification", "model_repository"} <= set(server.get("/v2").json["extensions"])
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/small/ready", "/v2/models/small/versions/1/ready"):
        assert server.get(path).status == 200, path


def test_a_model_describes_its_input_and_outputs(server: RunningServer) -> None:
    described = server.get("/v2/models/small").json
    assert described == server.get("/v2/models/small/versions/1").json
    assert described["versions"] == ["1"]
    assert described["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [1, -1, -1, 3]}]
    assert [output["name"] for output in described["outputs"]] == ["probabilities", "logits"]
    assert all(output["shape"] == [1, len(LABELS)] for output in described["outputs"])
    assert described["parameters"]["labels"] == list(LABELS)
    assert described["parameters"]["device"] == "fake"


@pytest.mark.parametrize("label", range(len(LABELS)))
def test_pixels_in_json_nested_or_flat_give_probabilities_and_logits(server: RunningServer, label: int) -> None:
    pixels = pixels_of(label)
    nested = server.post(INFER, request_of(pixels[None].tolist()) | {"id": "seven"})
    assert nested.status == 200
    answer = nested.json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("small", "1", "seven")
    assert answer["parameters"] == {"device": "fake", "artifact": "model.int8.tflite"}
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert int(np.argmax(outputs["probabilities"]["data"])) == label
    assert sum(outputs["probabilities"]["data"]) == pytest.approx(1, abs=1e-5)
    assert int(np.argmax(outputs["logits"]["data"])) == label
    flat = server.post(INFER, request_of(pixels.ravel().tolist())).json
    assert flat["outputs"] == answer["outputs"]


def test_an_encoded_picture_and_its_pixels_get_the_same_answer(server: RunningServer) -> None:
    encoded = server.post(INFER, request_of([base64.b64encode(picture_of(1)).decode()], "BYTES", (1,)))
    assert encoded.json["outputs"] == server.post(INFER, request_of(pixels_of(1).tolist())).json["outputs"]


def test_binary_tensors_follow_the_json(server: RunningServer) -> None:
    """Triton's binary tensor data extension, in the request and in the answer."""
    picture = picture_of(2)
    binary = struct.pack("<I", len(picture)) + picture
    parameters = {"binary_data_size": len(binary)}
    head = {
        "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "parameters": parameters}],
        "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
    }
    encoded = json.dumps(head).encode()
    header = "Inference-Header-Content-Length"
    answer = server.ask("POST", INFER, encoded + binary, {header: str(len(encoded))})
    assert answer.status == 200
    length = int(answer.headers[header.lower()])
    (output,) = json.loads(answer.body[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 4 * len(LABELS)}
    logits = np.frombuffer(answer.body[length:], "<f4")
    assert logits.argmax() == 2
    assert logits.tolist() == server.post(INFER, request_of(pixels_of(2).tolist())).json["outputs"][1]["data"]


def test_the_classification_extension_gives_value_index_and_label(server: RunningServer) -> None:
    wanted = {"outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]}
    (output,) = server.post(INFER, request_of(pixels_of(1).tolist()) | wanted).json["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 2])
    value, index, label = output["data"][0].split(":")
    assert (index, label) == ("1", "nut")
    assert float(value) > float(output["data"][1].split(":")[0])


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--b\r\nContent-Disposition: form-data; name="picture"; filename="bolt.png"\r\nContent-Type: image/png\r\n\r\n'
    b"%s\r\n--b--\r\n"
)


@pytest.mark.parametrize("label", range(len(LABELS)))
def test_a_picture_gets_the_json_of_linnet_classify(server: RunningServer, label: int, tmp_path: Path) -> None:
    (tmp_path / "bolt.png").write_bytes(picture_of(label))
    bundle = write_small_bundle(tmp_path / "small.linnet")
    expected = json.loads(linnet("classify", bundle, "bolt.png", "--device", "fake", cwd=tmp_path).stdout)
    form = server.ask(
        "POST",
        "/v1/classify?model=small",
        MULTIPART % picture_of(label),
        {"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert form.json == expected
    raw = server.ask("POST", "/v1/classify", picture_of(label), {"Content-Type": "image/png"})
    assert {"source": "bolt.png"} | raw.json == expected
    assert raw.json["label"] == LABELS[label]


_WRONG = {
    "no JSON": (b"{", "the request's JSON"),
    "no inputs": ({"inputs": []}, "$.inputs: got none"),
    "another input": ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}, "image"),
    "floats": (request_of([0.5] * 432), "whole numbers, 0 to 255"),
    "beyond a byte": (request_of([256] * 432), "whole numbers, 0 to 255"),
    "ragged": (request_of([[1], [1, 2]]), "lists of different lengths"),
    "too few": (request_of([1] * 431), "got 431 values, expected 432"),
    "two pictures": (request_of([1] * 864, shape=(2, SIDE, SIDE, 3)), "one picture"),
    "a negative size": (request_of([], shape=(1, -1, -1, 3)), "one picture"),
    "another datatype": (request_of([1.0], "FP32"), "UINT8 or BYTES"),
    "no base64": (request_of(["%"], "BYTES", (1,)), "base64"),
    "no data": (request_of(None), "expected the values"),
    "another output": (request_of([1] * 432) | {"outputs": [{"name": "boxes"}]}, "probabilities and logits"),
    "classes": (
        request_of([1] * 432) | {"outputs": [{"name": "logits", "parameters": {"classification": -1}}]},
        "a number of classes",
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_request_gets_one_line_that_names_the_place(server: RunningServer, name: str) -> None:
    content, expected = _WRONG[name]
    answer = server.post(INFER, content)
    assert answer.status == 400
    assert expected in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/small/versions/2", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v1/classify?model=other", 404),
        ("GET", "/nowhere", 404),
        ("GET", INFER, 405),
        ("DELETE", "/v2", 405),
    ],
)
def test_other_addresses_are_json_errors(server: RunningServer, method: str, path: str, status: int) -> None:
    answer = server.ask(method, path)
    assert answer.status == status
    assert answer.json["error"]


def test_a_picture_that_cannot_be_decoded_is_422(server: RunningServer) -> None:
    answer = server.post("/v1/classify", b"no picture")
    assert answer.status == 422
    assert "that start with b'no picture'" in answer.json["error"]
    assert server.post("/v1/classify", b"").status == 400
    assert server.post("/v1/classify", picture_of(0)[:60]).status == 422


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(server: RunningServer) -> None:
    vast = b"P6 30000 30000 255\n" + bytes(100)
    answer = server.post("/v1/classify", vast)
    assert answer.status == 422
    assert "30000 x 30000 pixels" in answer.json["error"]


def test_a_body_beyond_the_limit_is_413_with_and_without_its_length(server: RunningServer) -> None:
    assert server.post("/v1/classify", bytes(1_048_577)).status == 413
    chunked = b"".join(b"10000\r\n" + bytes(0x10000) + b"\r\n" for _ in range(17))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(chunked)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_server_with_its_summary_and_status_0(small_bundle: Path, number: signal.Signals) -> None:
    with serving(small_bundle, "--device", "fake") as running:
        assert running.get("/v2/health/ready").status == 200
        status, output, errors = running.end(number)
    assert (status, errors) == (0, "")
    assert set(json.loads(output)) == {"summary"}


def test_mistakes_at_the_start_are_one_line(small_bundle: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = one_line_error(linnet("serve", small_bundle, "--device", "fake", "--port", port, status=2))
    assert error == f"127.0.0.1:{port}: got Address already in use, expected a free port to listen on. Fix: --port PORT"
    error = one_line_error(linnet("serve", small_bundle, "--device", "fake", "--host", "a..b", status=2))
    assert error.startswith("a..b:8000: got ")
    error = one_line_error(linnet("serve", small_bundle, small_bundle, status=2))
    assert error.endswith("got a second bundle named small, expected a name for each")
    error = one_line_error(linnet("serve", tmp_path / "none.linnet", "--port", 0, status=1))
    assert "none.linnet: got no such folder, expected a bundle" in error
    error = one_line_error(linnet("serve", small_bundle, "--token-file", tmp_path / "none", "--port", 0, status=2))
    assert error.endswith("got No such file or directory, expected a file with the token")
    error = one_line_error(linnet("serve", small_bundle, "--certificate", tmp_path / "none", status=2))
    assert error == "TLS: got no key, expected both. Fix: --key FILE"


def test_asyncio_sees_a_tcp_socket_so_that_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    with listen(ServeSettings(port=0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP
