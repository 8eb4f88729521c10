"""The webhook with a real server: what it receives, and one that fails or hangs."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.sinks.broker import free_port, until
from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, SinkError, SinkSettings, Stream, open_sinks, webhook
from linnet_runtime.sinks.settings import WebhookSettings
from linnet_runtime.sinks.webhook import SIGNATURE, Webhook
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_result
from program import PATIENCE_S


def event(number: int) -> Event:
    return Event("change", float(number), label="nut", previous="bolt")


class Server(http.server.ThreadingHTTPServer):
    """Answers with the statuses of ``answers``, the last one again and again. 0 hangs until ``go_on``, and 1 sends a
    byte now and then until that.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.answers = [200]
        self.go_on = threading.Event()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=1"

    def stop(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        answers = self.server.answers
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            self.server.go_on.wait(PATIENCE_S)
            return
        if status == 1:
            with contextlib.suppress(ConnectionError):
                while not self.server.go_on.wait(0.01):
                    self.wfile.write(b"H")
            return
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_FIRST_BACKOFF_S", 0.001)


class TestWebhook(SinkConformance):
    @pytest.fixture(autouse=True)
    def _server(self, server: Server) -> None:
        self.settings = {"url": server.url}

    def open_sink(self, folder: Path) -> Webhook:
        return Webhook(WebhookSettings(**self.settings), Stream())


def test_an_event_is_posted_with_a_signature_and_a_result_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINNET_WEBHOOK_SECRET", "key")
    with QueuedSink(Webhook(WebhookSettings(url=server.url), Stream())) as sink:
        sink.put(event(1))
        sink.put(sample_result())
    assert sink.summary() == {"delivered": 1, "dropped": 0, "failed": 0, "skipped": 1}
    (body,), (headers,) = server.bodies, server.headers
    assert json.loads(body) == event(1).to_json()
    assert headers["content-type"] == "application/json"
    assert headers[SIGNATURE.lower()] == "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest()


def test_results_are_posted_where_the_settings_say_so_and_nothing_is_signed_without_a_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINNET_WEBHOOK_SECRET", raising=False)
    with QueuedSink(Webhook(WebhookSettings(url=server.url, results=True), Stream())) as sink:
        sink.put(sample_result(7))
    assert json.loads(server.bodies[0])["frame"] == 7
    assert SIGNATURE.lower() not in server.headers[0]


def test_a_server_that_fails_twice_is_tried_a_third_time(server: Server) -> None:
    server.answers = [503, 500, 200]
    with QueuedSink(Webhook(WebhookSettings(url=server.url), Stream())) as sink:
        sink.put(event(1))
    assert len(server.bodies) == 3
    assert sink.summary() == {"delivered": 1, "dropped": 0, "failed": 0}


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_server_that_refuses_is_not_asked_again(server: Server, status: int) -> None:
    """Nor is a redirection followed: it could lead anywhere."""
    server.answers = [status]
    with QueuedSink(Webhook(WebhookSettings(url=server.url), Stream())) as sink:
        sink.put(event(1))
    assert len(server.bodies) == 1
    assert sink.summary() == {"delivered": 0, "dropped": 0, "failed": 1}


def test_a_server_that_hangs_never_delays_the_stream_and_gets_its_events_later(server: Server) -> None:
    server.answers = [0, 0, 0, 0, 200]
    settings = WebhookSettings(url=server.url, timeout_s=0.05, tries=2)
    with QueuedSink(Webhook(settings, Stream()), retry_s=0.01) as sink:
        for number in range(3):
            sink.put(event(number))
        for number in range(500):
            sink.put(sample_result(number))  # returns while the server hangs
        until(lambda: sink.delivered == 3)
    counted = sink.summary()
    assert counted["delivered"] == 3
    assert counted["skipped"] + counted["dropped"] == 500
    assert [json.loads(body)["at"] for body in server.bodies] == [0, 0, 0, 0, 0, 1, 2]


def test_a_server_that_answers_a_byte_at_a_time_has_failed_after_the_time_out(server: Server) -> None:
    server.answers = [1, 200]
    settings = WebhookSettings(url=server.url, timeout_s=0.2, tries=1)
    with QueuedSink(Webhook(settings, Stream()), retry_s=0.01) as sink:
        sink.put(event(1))
        until(lambda: sink.delivered == 1)
    assert len(server.bodies) == 2


def test_at_the_end_a_server_that_hangs_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the wait before the next try nor further tries keep the thread, and what is lost is counted and said."""
    monkeypatch.setattr(webhook, "_FIRST_BACKOFF_S", PATIENCE_S)
    server.answers = [0]
    sink = QueuedSink(Webhook(WebhookSettings(url=server.url, timeout_s=0.2, results=True), Stream()))
    sink.put(event(1))
    sink.put(sample_result())
    until(lambda: len(server.bodies) == 1)
    sink.finish(0.1)
    sink.close()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "linnet-sink-webhook"])
    assert len(server.bodies) == 1
    assert sink.summary() == {"delivered": 0, "dropped": 2, "failed": 0}
    assert "the sink webhook: " in caplog.text


_PUT_AND_WAIT = """
import sys, threading
from linnet_runtime.results import Event
from linnet_runtime.sinks import SinkSettings, Stream, open_sinks
from linnet_runtime.sinks.settings import WebhookSettings
sinks = open_sinks(SinkSettings(webhook=WebhookSettings(url=sys.argv[1], keep_events=sys.argv[2])), Stream())
sinks.put(Event("change", 1.0, label="nut", previous="bolt"))
threading.Event().wait()
"""


def test_an_event_of_a_process_that_is_killed_while_the_server_hangs_is_delivered_by_the_next_run(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [0, 200]
    kept = tmp_path / "events.jsonl"
    with subprocess.Popen([sys.executable, "-c", _PUT_AND_WAIT, server.url, str(kept)]) as process:
        until(lambda: len(server.bodies) == 1)
        process.kill()
    tables = SinkSettings(webhook=WebhookSettings(url=server.url, keep_events=str(kept)))
    with open_sinks(tables, Stream()) as sinks:
        until(lambda: len(server.bodies) == 2)
    assert sinks.summary()["webhook"]["delivered"] == 1
    assert [json.loads(body)["at"] for body in server.bodies] == [1, 1]
    assert not kept.exists()


def test_events_for_a_server_that_is_gone_are_in_the_file_for_the_next_run(tmp_path: Path) -> None:
    port, kept = free_port(), tmp_path / "events.jsonl"
    url = f"http://127.0.0.1:{port}/"
    tables = SinkSettings(webhook=WebhookSettings(url=url, tries=1, keep_events=str(kept)))
    with open_sinks(tables, Stream()) as sinks:
        sinks.put(event(1))
        until(kept.exists)
    assert sinks.summary()["webhook"] == {"delivered": 0, "dropped": 0, "failed": 0, "kept": 1}
    server = Server(port)
    with open_sinks(tables, Stream()) as sinks:
        until(lambda: len(server.bodies) == 1)
    server.stop()
    assert sinks.summary()["webhook"] == {"delivered": 1, "dropped": 0, "failed": 0}


NO_ADDRESSES = (
    *("ftp://host/", "http://", "host/path", "http://host:port/", "http://me:secret@host/", "http://[::1/"),
    *(
        "http://host/a b",
        "http://host/\nX-Header: b",
        "http://host/caf\u00e9",
        "http://ho st/",
        "http://host..example/",
    ),
)


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_an_address_that_is_none_is_one_line_without_its_password(url: str) -> None:
    with pytest.raises(SinkError, match="expected http://HOST") as raised:
        Webhook(WebhookSettings(url=url), Stream())
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://[::1]:80/a?b=c", "https://caf\u00e9.example/", "http://host_1"])
def test_an_address_may_have_an_ip_address_of_version_6_and_a_name_in_any_script(url: str) -> None:
    Webhook(WebhookSettings(url=url), Stream()).close()
