"""``linnet serve``: who is answered, by name, token and certificate, and who is not waited for."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.routing import Route

from edge_runtime.server_process import RunningServer, serving
from edge_runtime.simulated_camera import picture_of
from edge_runtime.sinks.broker import until
from edge_runtime.small_bundle import LABELS
from linnet_runtime.server.app import Server
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.sinks.settings import SinkSettings
from program import PATIENCE_S


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "192.0.2.7"}, 200),  # an address is nobody's name
        ({"Host": f"{socket.gethostname()}.local"}, 200),
        ({"Host": "a@127.0.0.1"}, 421),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "https://other.example"}, 403),
        ({"Host": "localhost:80", "Origin": "http://localhost:81"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),  # a page in a sandbox
    ],
)
def test_rebound_names_and_pages_of_other_sites_are_refused(
    server: RunningServer, headers: dict[str, str], status: int
) -> None:
    assert server.ask("POST", "/v1/classify", picture_of(0), headers).status == status


def test_every_answer_protects_a_browser(server: RunningServer) -> None:
    for answer in (server.get("/v2"), server.get("/nowhere"), server.get("/v2", Host="rebound.example")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"


def test_a_token_is_asked_for_everywhere_but_at_the_health_addresses(small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with serving(small_bundle, "--device", "fake", "--token-file", tmp_path / "token") as running:
        assert running.get("/v2/health/ready").status == 200
        refused = running.get("/v2")
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer", "Bearer secre", "Basic secret", "secret", "Bearer sécret"):
            assert running.ask("GET", "/v2", headers={"Authorization": wrong}).status == 401
        assert running.get("/v2", Authorization="Bearer secret").status == 200


def addresses_of(bundle: Path) -> list[tuple[str, str]]:
    """The method and the path of every route of the application."""
    settings = ServeSettings()
    with (
        contextlib.closing(Models((bundle,), Opening("fake"), 1)) as models,
        LiveCameras(SinkSettings(), []) as cameras,
    ):
        models.load(models.first)
        routes = Server(models, settings, None, cameras).app().routes
    found = [(route.methods, route.path) for route in routes if isinstance(route, Route)]
    return [(method, re.sub(r"{[\w:]+}", "1", path)) for methods, path in found for method in methods or ()]


def test_every_address_asks_for_the_token_and_none_answers_to_another_name(small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = {"Authorization": "Bearer secret"}
    with serving(small_bundle, "--device", "fake", "--token-file", tmp_path / "token") as running:
        addresses = addresses_of(small_bundle)
        assert len(addresses) > 20
        for method, path in (*addresses, ("GET", "/nowhere")):
            is_open = path in ("/", "/openapi.json", "/v2/health/live", "/v2/health/ready")
            assert (running.ask(method, path).status == 401) == (not is_open), path
            assert running.ask(method, path, headers={"Host": "rebound.example", **token}).status == 421, path
            other = {"Host": "localhost", "Origin": "https://other.example", **token}
            assert running.ask(method, path, headers=other).status == 403, path


def test_https_answers_those_who_trust_the_certificate_and_no_plain_http(
    small_bundle: Path, certificates: Path
) -> None:
    trusted, key = certificates / "certificate.pem", certificates / "key.pem"
    with serving(small_bundle, "--device", "fake", "--certificate", trusted, "--key", key) as running:
        assert running.address == f"https://127.0.0.1:{running.port}/"
        url = f"https://localhost:{running.port}/v1/classify"
        with urllib.request.urlopen(url, picture_of(1), context=ssl.create_default_context(cafile=trusted)) as answer:
            assert json.load(answer)["label"] == LABELS[1]
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(url, picture_of(1), context=ssl.create_default_context())
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            running.get("/v2")
        status, _, errors = running.end()
    assert (status, errors) == (0, "")


def test_connections_that_send_no_whole_request_are_closed(server: RunningServer) -> None:
    """One that sends nothing, one that sends a part, and one that sends a part after its first request."""
    whole = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        silent, slow, later = (
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)) for _ in range(3)
        )
        later.sendall(whole)
        answer = b""
        while not answer.endswith(b"}"):  # the head and the body may come apart
            answer += later.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")
        for i in range(60):  # each byte would be a new hope for a limit that begins with the last one
            for client in (slow, later):
                with contextlib.suppress(OSError):  # it may be closed already
                    client.sendall(whole[i % 10 : i % 10 + 1] if i else whole[:10])
            time.sleep(0.2)
        assert silent.recv(100) == b""
        for client in (slow, later):
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""


def test_connections_beyond_a_limit_are_closed_and_leave_file_descriptors_to_cameras(small_bundle: Path) -> None:
    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    with serving(small_bundle, "--device", "fake", preexec_fn=few_files) as running, contextlib.ExitStack() as stack:
        for _ in range(700):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), PATIENCE_S))
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
        open_files = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
        stack.close()
        until(lambda: running.get("/v2").status == 200)
        status, _, errors = running.end()
    assert (status, errors) == (0, "")
    assert open_files < 400


def test_a_slow_body_is_408(small_bundle: Path) -> None:
    with (
        serving(small_bundle, "--device", "fake", "--timeout-s", 0.2) as running,
        socket.create_connection(("127.0.0.1", running.port)) as client,
    ):
        client.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")
