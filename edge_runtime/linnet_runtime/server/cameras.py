"""The cameras of a server: a pipeline in a thread, which is opened again when the model changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from linnet_devices.api import LinnetError
from linnet_devices.closable import Closable
from linnet_runtime.classifier import Classifier
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.pipeline.camera import Camera, CameraSettings
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.results import Event, Result
from linnet_runtime.server.answers import NotFound
from linnet_runtime.sinks.api import Sink, Stream
from linnet_runtime.sinks.registry import open_sinks
from linnet_runtime.sinks.settings import SinkSettings
from linnet_runtime.sinks.several import Sinks
from linnet_runtime.sources.api import Frame

logger = logging.getLogger("linnet")

_AGAIN_S = 5.0  # until a pipeline that has failed is opened again


class LiveCameras(Closable):
    """Runs the cameras of a server in a thread. The sinks stay open when the pipeline is opened again."""

    def __init__(self, sinks: SinkSettings, cameras: Sequence[Camera]) -> None:
        self._sink_settings = sinks
        self._cameras = list(cameras)
        self._sinks: Sinks | None = None
        self._classifier: Classifier | None = None
        self._pipeline: Pipeline | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.failure = ""
        self.restarts = 0
        self.ended = False
        self._opened()

    @property
    def settings(self) -> list[CameraSettings]:
        """The settings of each camera, as they are now."""
        return [camera.settings for camera in self._cameras]

    def stream(self, bundle: str, labels: tuple[str, ...]) -> Stream:
        """What sinks may know of the cameras."""
        return Stream(
            labels=labels,
            bundle=bundle,
            cameras={one.name: one.region_names for one in self.settings},
            statistics=self._statistics,
            request=self.request,
        )

    def start(self, classifier: Classifier, *more: Sink) -> None:
        """Opens the cameras and the sinks, and ``more`` sinks; then frames are classified in a thread.

        Raises:
            SourceError: a source cannot be opened.
            SinkError: a sink cannot be opened.
            LinnetError: a setting does not fit the model.
        """
        if not self._cameras:
            return
        bundle = classifier.bundle
        self._sinks = open_sinks(self._sink_settings, self.stream(bundle.name, bundle.labels), *more)
        self._begin(classifier, self._open_pipeline(classifier))

    def stop(self) -> None:
        """Ends the thread and closes the sources; the classifier is then free."""
        self._stop.set()
        pipeline, thread = self._pipeline, self._thread
        if pipeline is not None:
            pipeline.stop()
        if thread is not None:
            thread.join()
        self._thread = self._classifier = None

    def restart(self, classifier: Classifier) -> None:
        """Opens the cameras again, with another classifier; where that fails, again and again."""
        self.stop()
        if self._cameras:
            self._begin(classifier, None)

    def change_threshold(self, camera: str, threshold: float) -> None:
        """Changes the probability below which a camera's label is unknown. The camera stays open.

        Raises:
            NotFound: there is no camera of that name.
        """
        settings = self.find(camera)
        i = self.settings.index(settings)
        decision = msgspec.structs.replace(settings.decision, threshold=threshold)
        self._cameras[i] = replace(self._cameras[i], settings=msgspec.structs.replace(settings, decision=decision))
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.change_threshold(threshold, camera)

    def find(self, camera: str) -> CameraSettings:
        """The settings of a camera by its name. Raises NotFound."""
        for settings in self.settings:
            if settings.name == camera:
                return settings
        names = " or ".join(repr(settings.name) for settings in self.settings)
        raise NotFound(f"camera {camera!r}", got="no camera of that name", expected=names or "none: there is no camera")

    def newest_frame(self, camera: str) -> Frame | None:
        """The newest frame of a camera; None where there is none."""
        pipeline = self._pipeline
        return None if pipeline is None else pipeline.newest_frame(camera)

    def summary(self) -> Mapping[str, Any]:
        """What the pipeline, the devices and the sinks have counted. The pipeline's counters begin again with it."""
        pipeline, classifier, sinks = self._pipeline, self._classifier, self._sinks
        session = classifier.session if classifier else None
        return {
            **(pipeline.summary() if pipeline else {}),
            **(session.summary() if isinstance(session, SupervisedSession) else {}),
            "pipeline_restarts": self.restarts,
            "sinks": sinks.summary() if sinks else {},
        }

    def _statistics(self) -> Mapping[str, Any]:
        """The summary, and the share of the model's operations that run on the device."""
        classifier = self._classifier
        placement = {"placement": classifier.session.placement.share} if classifier else {}
        return {**self.summary(), **placement}

    def recent(self) -> Mapping[str, Any]:
        """The times of the last minute; empty while no pipeline is open."""
        pipeline = self._pipeline
        return {} if pipeline is None else pipeline.recent()

    def request(self, camera: str) -> None:
        """Has a camera classify its next frame."""
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.request(camera)

    def _put(self, item: Result | Event) -> None:
        if self._sinks is not None:
            self._sinks.put(item)

    def _open_pipeline(self, classifier: Classifier) -> Pipeline:
        return Pipeline(self._cameras, classifier, on_result=self._put, on_event=self._put)

    def _begin(self, classifier: Classifier, pipeline: Pipeline | None) -> None:
        self._stop.clear()
        self.ended = False
        self._classifier, self._pipeline = classifier, pipeline
        self._thread = threading.Thread(
            target=self._run, args=(classifier, pipeline), name="linnet-cameras", daemon=True
        )
        self._thread.start()

    def _run(self, classifier: Classifier, pipeline: Pipeline | None) -> None:
        """Runs pipelines until ``stop``, or until all sources, which are files, have ended."""
        while not self._stop.is_set():
            try:
                with pipeline or self._open_pipeline(classifier) as opened:
                    self._pipeline = opened
                    for settings in self.settings:  # changed while the pipeline was opened
                        opened.change_threshold(settings.decision.threshold, settings.name)
                    self.failure = ""
                    if not self._stop.is_set():
                        opened.run()
                self.ended = not self._stop.is_set()
                return
            except (LinnetError, OSError) as error:  # OSError: standard output cannot be written any more
                pipeline = None
                self.failure = str(error)
                logger.warning("the cameras are opened again in %g s: %s", _AGAIN_S, error)
                self.restarts += 1
                self._stop.wait(_AGAIN_S)

    def _release(self) -> None:
        self.stop()
        if self._sinks is not None:
            self._sinks.close()
