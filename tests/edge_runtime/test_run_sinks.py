"""``linnet run`` with its sinks: real brokers and scrapers outside of the process, and mistakes at the start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.simulated_camera import frame_of
from edge_runtime.sinks.broker import Broker, Subscriber, free_port, needs_broker, until
from program import linnet, one_line_error


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        cv2.imwrite(str(folder / f"{number:02d}.png"), frame_of(number % 3).pixels)
    return folder


def summary_of(output: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(output.splitlines()[-1])["summary"]
    return summary


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """``linnet run`` on a live source until the block ends it with SIGTERM."""
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The summary of a process that is asked to end."""
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return summary_of(output)


@needs_broker
def test_a_run_publishes_its_label_and_describes_itself_and_all_results_are_counted(
    small_bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        settings = ("--set", "mqtt.id=shed", "--set", "mqtt.interval_s=0")
        done = linnet("run", small_bundle, "--source", pictures, "--device", "fake", "--mqtt", broker.url, *settings)
        (discovery,) = subscriber.wait_for("homeassistant/device/shed/config")
        labels = [json.loads(line)["label"] for line in subscriber.wait_for("linnet/shed/camera/label")]
        availability = subscriber.wait_for("linnet/shed/camera/availability", 2)
    assert json.loads(discovery)["components"]["camera_label"]["options"] == ["bolt", "nut", "washer", "unknown"]
    assert set(labels) <= {"bolt", "nut", "washer"}
    assert availability == [b"online", b"offline"]
    counters = summary_of(done.stdout)["sinks"]
    assert [counters["json_lines"][outcome] for outcome in ("delivered", "dropped", "failed")] == [30, 0, 0]
    assert sum(counters["mqtt"].values()) >= 30  # events beside the results
    assert len(done.stdout.splitlines()) == 31


@needs_broker
def test_a_broker_that_is_away_for_ten_seconds_does_not_delay_the_stream(small_bundle: Path, tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        arguments = ("--source", "synthetic:", "--device", "fake", "--mqtt", broker.url, "--set", "mqtt.id=shed")
        with running(small_bundle, *arguments, "--set", "mqtt.interval_s=0") as process:
            assert process.stdout is not None
            for _ in range(10):
                process.stdout.readline()
            broker.kill()
            for _ in range(250):  # the lines go on, at 25 frames a second
                process.stdout.readline()
            broker.start()
            reader = threading.Thread(target=lambda: [process.stdout.readline() for _ in range(60)])  # type: ignore[union-attr]
            reader.start()
            with Subscriber(broker.port) as subscriber:
                subscriber.wait_for("linnet/shed/camera/label", 3)  # it delivers again
            reader.join()
            summary = stopped(process)
    mqtt = summary["sinks"]["mqtt"]
    assert mqtt["failed"] > 0
    assert sum(mqtt.values()) >= summary["frames_classified"]
    assert summary["frames_classified"] >= 320


@needs_broker
def test_a_broker_that_refuses_the_login_is_one_line_and_status_2(
    small_bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    with Broker(tmp_path, settings="allow_anonymous false") as broker:
        url = f"mqtt://me@127.0.0.1:{broker.port}"
        environment = {**os.environ, "LINNET_MQTT_PASSWORD": "wrong"}
        done = linnet(
            "run", small_bundle, "--source", pictures, "--device", "fake", "--mqtt", url, status=2, env=environment
        )
    line = one_line_error(done)
    assert "for the user me with a password" in line
    assert "wrong" not in line
    assert done.stdout == ""


def test_an_address_that_is_no_brokers_and_a_port_in_use_are_one_line_and_status_2(
    small_bundle: Path, pictures: Path
) -> None:
    arguments = ("run", small_bundle, "--source", pictures, "--device", "fake")
    line = one_line_error(linnet(*arguments, "--mqtt", "http://broker", status=2))
    assert "--mqtt: got http://broker, expected mqtt://[user@]HOST[:1883]" in line
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = one_line_error(linnet(*arguments, "--metrics", taken.getsockname()[1], status=2))
    assert "expected a free port. Fix: --metrics PORT" in line


def test_metrics_of_a_live_run_can_be_scraped(small_bundle: Path) -> None:
    port = free_port()
    with running(small_bundle, "--source", "synthetic:", "--device", "fake", "--metrics", port) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        until(lambda: "linnet_frame_age_seconds_count" in scrape(port))
        families = {family.name: family for family in text_string_to_metric_families(scrape(port))}
        summary = stopped(process)
    assert families["linnet_frames_read"].samples[0].value > 0
    assert families["linnet_device_info"].samples[0].labels == {"device": "fake"}
    assert families["linnet_placement_ratio"].samples[0].value == 1
    assert families["linnet_last_frame_age_seconds"].samples[0].value < 600
    assert {sample.labels["sink"] for sample in families["linnet_sink_items"].samples} == {"json_lines", "metrics"}
    assert summary["sinks"]["metrics"]["failed"] == 0


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: str = answer.read().decode()
    return text
