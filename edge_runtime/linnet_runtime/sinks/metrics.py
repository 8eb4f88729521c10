"""Figures for Prometheus, at ``http://HOST:PORT/metrics``. Internal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import start_http_server
from prometheus_client.registry import Collector

from linnet_devices.api import Setting
from linnet_runtime.machine import temperatures
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkError, Stream
from linnet_runtime.sinks.settings import MetricsSettings

_AGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_STAGES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
_PROBABILITIES = tuple(tenth / 10 for tenth in range(1, 11))

# Counters of a run's summary: the key, the metric, and what it counts.
_COUNTERS = (
    ("frames_read", "linnet_frames_read", "Frames that the cameras gave"),
    ("frames_classified", "linnet_frames_classified", "Frames that were classified"),
    ("frames_dropped", "linnet_frames_dropped", "Frames that a newer one replaced before they were classified"),
    ("frames_skipped", "linnet_frames_skipped", "Frames that were not to be classified"),
    ("frames_too_old", "linnet_frames_too_old", "Frames and results that were dropped because they were too old"),
    ("frames_damaged", "linnet_frames_damaged", "Frames that could not be used"),
    ("frames_repeated", "linnet_frames_repeated", "Frames that a second device had to classify"),
    ("frames_recalled", "linnet_frames_recalled", "Frames whose results were recalled: a device may have been wrong"),
    ("source_reopened", "linnet_source_reopened", "Times that a camera was lost and opened again"),
)

_DEVICE_COUNTERS = (
    ("frames_by_device", "linnet_device_frames", "Frames that each device answered"),
    ("device_failures", "linnet_device_failures", "Times that a device failed in use, and another one took over"),
    ("device_restarts", "linnet_device_restarts", "Times that a device that was out was opened and used again"),
)


class RunMetrics:
    """The figures of a run, in a registry. Results and events are counted as they come; the rest when it is read."""

    registry: CollectorRegistry
    """What Prometheus reads."""

    def __init__(self, stream: Stream) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._results = Counter(
            "linnet_results", "Results by their label", ["camera", "region", "label"], registry=registry
        )
        self._events = Counter("linnet_events", "Events by their kind", ["camera", "kind"], registry=registry)
        self._age = Histogram(
            "linnet_frame_age_seconds",
            "From the capture of a frame to its result",
            ["camera"],
            buckets=_AGES,
            registry=registry,
        )
        self._stage = Histogram(
            "linnet_stage_seconds", "Time of a frame in each stage", ["stage"], buckets=_STAGES, registry=registry
        )
        self._probability = Histogram(
            "linnet_probability_ratio",
            "Probability of the decided label: what the camera sees has drifted where it falls",
            ["camera", "region"],
            buckets=_PROBABILITIES,
            registry=registry,
        )
        registry.register(_Statistics(stream))
        ProcessCollector(registry=registry)

    def count(self, item: Result | Event) -> None:
        """Counts a result or an event."""
        if isinstance(item, Event):
            self._events.labels(item.camera, item.kind).inc()
            return
        self._results.labels(item.camera, item.region, item.label).inc()
        self._age.labels(item.camera).observe(item.age_ms / 1e3)
        self._probability.labels(item.camera, item.region).observe(item.probability)
        for stage, milliseconds in item.stages_ms.items():
            self._stage.labels(stage).observe(milliseconds / 1e3)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self.registry)


class Metrics:
    """Serves ``RunMetrics`` over HTTP."""

    name, pictures = "metrics", False

    def __init__(self, settings: MetricsSettings, stream: Stream) -> None:
        """Begins to listen.

        Raises:
            SinkError: the port is in use, or the address is not one of this machine.
        """
        self._metrics = RunMetrics(stream)
        place = f"{settings.host}:{settings.port}"
        try:
            server, thread = start_http_server(settings.port, settings.host, self._metrics.registry)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host
            fix = Setting("metrics", placeholder="PORT")
            got = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"metrics at {place}", got=got, expected="a free port", fix=fix) from error
        self._server: Any = server
        self._thread: threading.Thread | None = thread

    def write(self, item: Result | Event) -> bool:
        self._metrics.count(item)
        return True

    def close(self) -> None:
        """Stops listening."""
        if self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._thread = None


class _Statistics(Collector):
    """The run's summary and the machine, as they are when Prometheus asks."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def describe(self) -> list[Metric]:
        """Nothing: the run may not have begun when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        statistics = self._stream.statistics()
        yield InfoMetricFamily(
            "linnet", "The program and the bundle", {"version": version("linnet"), "bundle": self._stream.bundle}
        )
        for key, name, what in _COUNTERS:
            if statistics.get(key) is not None:
                yield CounterMetricFamily(name, what, statistics[key])
        if (age := statistics.get("last_frame_age_s")) is not None:
            yield GaugeMetricFamily("linnet_last_frame_age_seconds", "Since the last good frame arrived", age)
        yield from _devices(statistics)
        yield from _sinks(statistics.get("sinks", {}))
        zones = GaugeMetricFamily("linnet_temperature_celsius", "Temperature of the machine", labels=["zone"])
        for zone, celsius in temperatures().items():
            zones.add_metric([zone], celsius)
        yield zones


def _devices(statistics: Mapping[str, Any]) -> Iterator[Metric]:
    current = GaugeMetricFamily("linnet_device_info", "1 for the device that answers", labels=["device"])
    if device := statistics.get("device"):
        current.add_metric([str(device)], 1)
    yield current
    if (share := statistics.get("placement")) is not None:
        yield GaugeMetricFamily("linnet_placement_ratio", "Share of the operations that run on the device", share)
    for key, name, what in _DEVICE_COUNTERS:
        counter = CounterMetricFamily(name, what, labels=["device"])
        for device, count in statistics.get(key, {}).items():
            counter.add_metric([str(device)], count)
        yield counter


def _sinks(sinks: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    items = CounterMetricFamily(
        "linnet_sink_items", "Results and events by what became of them", labels=["sink", "outcome"]
    )
    for sink, counters in sinks.items():
        for outcome, count in counters.items():
            items.add_metric([sink, outcome], count)
    yield items
