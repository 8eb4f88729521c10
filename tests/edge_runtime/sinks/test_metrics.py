"""Metrics over HTTP, read as Prometheus reads them."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.sinks.broker import free_port, until
from linnet_runtime.machine import temperatures
from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, SinkError, Stream
from linnet_runtime.sinks.metrics import Metrics, RunMetrics
from linnet_runtime.sinks.settings import MetricsSettings
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_result, sample_stream

STATISTICS: dict[str, Any] = {
    "frames_read": 120,
    "frames_classified": 100,
    "frames_dropped": 18,
    "frames_too_old": 2,
    "source_reopened": 3,
    "last_frame_age_s": 0.25,
    "device": "coral:usb:0",
    "placement": 0.98,
    "frames_by_device": {"coral:usb:0": 90, "cpu:litert": 10},
    "device_failures": {"coral:usb:0": 3},
    "device_restarts": {"coral:usb:0": 2},
    "frames_repeated": 1,
    "frames_recalled": 7,
    "sinks": {"mqtt": {"delivered": 90, "dropped": 10, "failed": 0}},
}


class TestMetrics(SinkConformance):
    def open_sink(self, folder: Path) -> Metrics:
        return Metrics(MetricsSettings(port=free_port()), sample_stream())


def scraped(port: int) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value for sample in family.samples if sample.name == family.name + suffix
    }


def test_a_scrape_has_the_results_the_runs_counters_and_the_sinks() -> None:
    port = free_port()
    stream = Stream(labels=("nut",), bundle="parts", statistics=lambda: STATISTICS)
    with QueuedSink(Metrics(MetricsSettings(port=port), stream)) as sink:
        for number in range(3):
            sink.put(sample_result(number))
        sink.put(Event("change", 1.0, "belt"))
        until(lambda: sink.delivered == 4)
        families = scraped(port)
    assert values(families["linnet_results"], "_total") == {("belt", "nut", ""): 3}  # camera, label, region
    assert values(families["linnet_events"], "_total") == {("belt", "change"): 1}
    assert values(families["linnet_frame_age_seconds"], "_count") == {("belt",): 3}
    assert values(families["linnet_frame_age_seconds"], "_sum")[("belt",)] == pytest.approx(3 * 0.0125)
    assert set(values(families["linnet_stage_seconds"], "_count")) == {
        ("wait",),
        ("preprocess",),
        ("inference",),
        ("decision",),
    }
    counted = {name: values(families[name], "_total")[()] for name in families if name.startswith("linnet_frames_")}
    assert counted == {
        "linnet_frames_read": 120,
        "linnet_frames_classified": 100,
        "linnet_frames_dropped": 18,
        "linnet_frames_too_old": 2,
        "linnet_frames_repeated": 1,
        "linnet_frames_recalled": 7,
    }
    assert values(families["linnet_source_reopened"], "_total") == {(): 3}
    assert values(families["linnet_last_frame_age_seconds"]) == {(): 0.25}
    assert values(families["linnet_device_info"]) == {("coral:usb:0",): 1}
    assert values(families["linnet_placement_ratio"]) == {(): 0.98}
    assert values(families["linnet_device_frames"], "_total")[("cpu:litert",)] == 10
    assert values(families["linnet_device_failures"], "_total") == {("coral:usb:0",): 3}
    assert values(families["linnet_device_restarts"], "_total") == {("coral:usb:0",): 2}
    assert values(families["linnet_sink_items"], "_total")[("dropped", "mqtt")] == 10
    assert "process_resident_memory_bytes" in families


def test_names_follow_prometheus_conventions() -> None:
    """A counter ends in _total, a time is in seconds, and every metric has a help text."""
    metrics = RunMetrics(Stream(statistics=lambda: STATISTICS))
    metrics.count(sample_result())
    for family in text_string_to_metric_families(metrics.text().decode()):
        if family.name.startswith("linnet"):
            assert family.documentation
            assert re.fullmatch(r"linnet[a-z_]*", family.name)
            assert not re.search("_(ms|milliseconds|percent)$", family.name)
            if family.type == "counter":
                assert {sample.name.rpartition("_")[2] for sample in family.samples} <= {"total", "created"}
            if family.type == "histogram":
                assert family.name.endswith(("_seconds", "_ratio"))


def test_memory_does_not_grow_with_results() -> None:
    metrics = RunMetrics(sample_stream())
    metrics.count(sample_result())
    lines = len(metrics.text().splitlines())
    for number in range(1000):
        metrics.count(sample_result(number))
    assert len(metrics.text().splitlines()) == lines


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=f"127.0.0.1:{port}: got Address already in use, expected a free port"):
            Metrics(MetricsSettings(port=port), Stream())


def test_a_host_that_is_no_name_is_one_line() -> None:
    with pytest.raises(SinkError, match=r"metrics at a\.\.b:9100: got .*, expected a free port"):
        Metrics(MetricsSettings(port=9100, host="a..b"), Stream())


def test_temperatures_are_those_of_the_thermal_zones_that_can_be_read(tmp_path: Path) -> None:
    for number, (kind, temperature) in enumerate([("cpu-thermal", "48312"), ("gpu-thermal", "51000"), ("off", "")]):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(temperature + "\n")
    assert temperatures(tmp_path) == {"cpu-thermal": 48.312, "gpu-thermal": 51.0}
