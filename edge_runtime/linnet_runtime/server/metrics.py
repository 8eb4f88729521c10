"""What the server counts: for ``/metrics``, and for the summary at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from linnet_runtime.server.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NOTHING_COUNTED: dict[str, object] = {"requests": 0, "answered": 0, "refused": 0, "failed": 0}
"""The summary of a server that did not begin to answer."""
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class ServerMetrics:
    """The requests of inference: how many got which status, and how long they took."""

    def __init__(self, models: Models) -> None:
        self.statuses: Counter[int] = Counter()
        self.registry = CollectorRegistry()
        self._requests = PrometheusCounter(
            "linnet_serve_requests", "Requests by their status", ["model", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "linnet_serve_request_seconds",
            "Seconds from the start of a request to its answer, of those that got one",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_ModelStates(models))

    def count(self, model: str, status: int, seconds: float) -> None:
        """Counts one request for a model."""
        self.statuses[status] += 1
        self._requests.labels(model, str(status)).inc()
        if status == 200:
            self._seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def summary(self) -> dict[str, object]:
        """Requests that were answered, refused because the queue was full, and wrong or failed."""
        total = self.statuses.total()
        answered, refused = self.statuses[200], self.statuses[503]
        return {"requests": total, "answered": answered, "refused": refused, "failed": total - answered - refused}


class _ModelStates(Collector):
    """The models as they are when Prometheus asks."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("linnet_serve_model_ready", "1 where the model answers", labels=["model"])
        version = GaugeMetricFamily("linnet_serve_model_version", "The version that answers", labels=["model"])
        held = GaugeMetricFamily("linnet_serve_queue", "Requests that are held, with the one in work", labels=["model"])
        failed = CounterMetricFamily("linnet_serve_failed_loads", "Versions that were refused", labels=["model"])
        for model in self._models:
            ready.add_metric([model.name], model.lane is not None)
            version.add_metric([model.name], model.version)
            held.add_metric([model.name], model.lane.held if model.lane else 0)
            failed.add_metric([model.name], model.failed_loads)
        return iter((ready, version, held, failed))
