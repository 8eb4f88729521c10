"""From a configuration to a running stream: cameras, classifier, pipeline and sinks. Internal."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from linnet_devices.closable import Closable
from linnet_runtime.classifier import Classifier
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.live_config import LiveConfig
from linnet_runtime.pipeline.camera import Camera
from linnet_runtime.pipeline.pipeline import NOTHING_COUNTED as NOTHING_OF_PIPELINE
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import Sink, Stream
from linnet_runtime.sinks.registry import open_sinks
from linnet_runtime.sinks.several import Sinks
from linnet_runtime.sources import open_source

NOTHING_COUNTED: dict[str, object] = {**NOTHING_OF_PIPELINE, "sinks": {}}
"""The summary of a run that was ended before anything was open."""


def open_classifier(bundle: Path, config: LiveConfig) -> Classifier:
    """Opens the bundle on the devices of the configuration. Raises what ``Classifier.open`` does."""
    return Classifier.open(
        bundle, config.device, precision=config.precision, options=config.open_options(), limits=config.limits()
    )


def cameras_of(config: LiveConfig) -> list[Camera]:
    """The cameras of the configuration, whose sources are not open yet."""
    return [
        # Only the newest frame of a file can be had where it is played at its own rate.
        Camera(partial(open_source, camera.source, paced=camera.policy == "newest"), camera)
        for camera in config.camera
    ]


class Live(Closable):
    """A configuration's cameras, decisions and sinks on an open bundle. Use it as a context manager, or close it."""

    pipeline: Pipeline
    """Its iteration is the run; its results and events go to the sinks."""

    def __init__(self, config: LiveConfig, classifier: Classifier, *more: Sink, most_frames: int | None = None) -> None:
        """Opens the cameras, then the sinks.

        Args:
            config: the configuration.
            classifier: stays open.
            more: further sinks.
            most_frames: the iteration ends after so many frames.

        Raises:
            SourceError: a source cannot be opened.
            SinkError: a sink cannot be opened.
            LinnetError: a decision names a label that the bundle does not have.
        """
        self._classifier = classifier
        self._sinks: Sinks | None = None
        self.pipeline = Pipeline(
            cameras_of(config), classifier, on_result=self._put, on_event=self._put, most_frames=most_frames
        )
        try:
            self._sinks = open_sinks(config, self._stream(config), *more)
        except BaseException:
            self.pipeline.close()
            raise
        self._opened()

    def summary(self) -> dict[str, object]:
        """What has been counted so far, and the counters of each sink once it is open. Any thread may call it."""
        session, sinks = self._classifier.session, self._sinks
        of_devices = session.summary() if isinstance(session, SupervisedSession) else {}
        return self.pipeline.summary() | of_devices | {"sinks": sinks.summary() if sinks else {}}

    def _stream(self, config: LiveConfig) -> Stream:
        return Stream(
            labels=self._classifier.bundle.labels,
            bundle=self._classifier.bundle.name,
            cameras={camera.name: camera.region_names for camera in config.camera},
            live=not self.pipeline.keeps_all,
            statistics=self._statistics,
            request=self.pipeline.request,
        )

    def _statistics(self) -> dict[str, object]:
        """The summary, and the share of the model's operations that run on the device."""
        return self.summary() | {"placement": self._classifier.session.placement.share}

    def _put(self, item: Result | Event) -> None:
        if self._sinks is not None:
            self._sinks.put(item)

    def _release(self) -> None:
        self.pipeline.close()
        if self._sinks is not None:
            self._sinks.close()
