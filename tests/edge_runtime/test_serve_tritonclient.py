"""Triton's own client, unchanged, against ``linnet serve``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.server_process import serving
from edge_runtime.simulated_camera import picture_of, pixels_of
from edge_runtime.small_bundle import LABELS, SIDE, write_small_bundle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.http as triton


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    bundle = write_small_bundle(tmp_path_factory.mktemp("served") / "small.linnet")
    with serving(bundle, "--device", "fake") as server:
        client = triton.InferenceServerClient(f"localhost:{server.port}")
        yield client
        client.close()


def image_input(data: np.ndarray, datatype: str, *, binary: bool) -> triton.InferInput:
    image = triton.InferInput("image", list(data.shape), datatype)
    image.set_data_from_numpy(data, binary_data=binary)
    return image


def test_it_finds_the_server_and_the_model_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("small")
    assert client.is_model_ready("small", "1")
    assert client.get_server_metadata()["name"] == "linnet"
    assert client.get_model_metadata("small")["inputs"][0]["datatype"] == "UINT8"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("label", range(len(LABELS)))
def test_it_infers_from_pixels(client: triton.InferenceServerClient, label: int, binary: bool) -> None:
    image = image_input(pixels_of(label)[None], "UINT8", binary=binary)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("logits", "probabilities")]
    result = client.infer("small", [image], outputs=wanted, request_id="7")
    probabilities, logits = result.as_numpy("probabilities"), result.as_numpy("logits")
    assert probabilities.shape == logits.shape == (1, len(LABELS))
    assert probabilities.dtype == logits.dtype == np.float32
    assert probabilities.argmax() == logits.argmax() == label
    assert result.get_response()["id"] == "7"


def test_it_infers_from_an_encoded_picture_without_naming_outputs(client: triton.InferenceServerClient) -> None:
    image = image_input(np.array([picture_of(2)], dtype=np.object_), "BYTES", binary=True)
    result = client.infer("small", [image])
    assert result.as_numpy("probabilities").argmax() == 2


@pytest.mark.parametrize("binary", [True, False])
def test_it_gets_the_best_classes(client: triton.InferenceServerClient, binary: bool) -> None:
    image = image_input(pixels_of(1)[None], "UINT8", binary=True)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)
    (best,) = client.infer("small", [image], outputs=[wanted]).as_numpy("probabilities")
    _, index, label = (best[0].decode() if binary else str(best[0])).split(":")
    assert (index, label, len(best)) == ("1", "nut", 2)


def test_a_frame_of_another_size_is_preprocessed(client: triton.InferenceServerClient) -> None:
    large = np.kron(pixels_of(2), np.ones((4, 4, 1), np.uint8))
    assert large.shape == (4 * SIDE, 4 * SIDE, 3)
    result = client.infer("small", [image_input(large[None], "UINT8", binary=True)])
    assert result.as_numpy("logits").argmax() == 2


def test_it_reads_the_index_and_loads_and_unloads(client: triton.InferenceServerClient) -> None:
    version = int(client.get_model_repository_index()[0]["version"])
    client.unload_model("small")
    assert not client.is_model_ready("small")
    client.load_model("small")
    assert client.is_model_ready("small")
    assert client.get_model_repository_index()[0]["version"] == str(version + 1)


def test_it_raises_the_servers_own_line(client: triton.InferenceServerClient, tmp_path: Path) -> None:
    image = image_input(np.array([b"no picture"], dtype=np.object_), "BYTES", binary=True)
    with pytest.raises(triton.InferenceServerException, match="bytes that start with b'no picture'"):
        client.infer("small", [image])
