"""The cameras of a server: a pipeline in a thread, which is opened again when the model or a setting changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from linnet_devices.api import LinnetError
from linnet_devices.closable import Closable
from linnet_runtime.camera import Camera, CameraSettings
from linnet_runtime.classifier import Classifier
from linnet_runtime.pipeline import Pipeline
from linnet_runtime.results import Event, Result
from linnet_runtime.server.answers import NotFound
from linnet_runtime.sources.api import Frame

logger = logging.getLogger("linnet")

_AGAIN_S = 5.0  # until a pipeline that has failed is opened again


class LiveCameras(Closable):
    """Runs the cameras of a server, in a thread."""

    def __init__(self, cameras: Sequence[Camera]) -> None:
        self._cameras = list(cameras)
        self._put: Callable[[Result | Event], object] = lambda _: None
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

    def start(self, classifier: Classifier, put: Callable[[Result | Event], object]) -> None:
        """Opens the cameras and classifies their frames. ``put`` is called with each result and event, in the thread.

        Raises:
            SourceError: a source cannot be opened.
            LinnetError: a setting does not fit the model.
        """
        self._put = put
        if self._cameras:
            self._begin(classifier, self._open_pipeline(classifier))

    def stop(self) -> None:
        """Ends the thread and closes the sources; the classifier is then free. Idle cameras stay as they are."""
        self._stop.set()
        pipeline, thread = self._pipeline, self._thread
        if pipeline is not None:
            pipeline.stop()
        if thread is not None:
            thread.join()
        self._thread = None

    def restart(self, classifier: Classifier) -> None:
        """Opens the cameras again, with another classifier or other settings; where that fails, again and again."""
        self.stop()
        if self._cameras:
            self._begin(classifier, None)

    def change_threshold(self, camera: str, threshold: float) -> None:
        """Changes the probability below which a camera's label is unknown; ``restart`` applies it.

        Raises:
            NotFound: there is no camera of that name.
        """
        settings = self.find(camera)
        i = self.settings.index(settings)
        decision = msgspec.structs.replace(settings.decision, threshold=threshold)
        self._cameras[i] = replace(self._cameras[i], settings=msgspec.structs.replace(settings, decision=decision))

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
        """The counters of the pipeline; empty while none is open."""
        pipeline = self._pipeline
        return {} if pipeline is None else pipeline.summary()

    def recent(self) -> Mapping[str, Any]:
        """The times of the last minute; empty while no pipeline is open."""
        pipeline = self._pipeline
        return {} if pipeline is None else pipeline.recent()

    def request(self, camera: str) -> None:
        """Has a camera classify its next frame."""
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.request(camera)

    def _open_pipeline(self, classifier: Classifier) -> Pipeline:
        return Pipeline(self._cameras, classifier, on_result=self._put, on_event=self._put)

    def _begin(self, classifier: Classifier, pipeline: Pipeline | None) -> None:
        self._stop.clear()
        self.ended = False
        self._pipeline = pipeline
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
                    self.failure = ""
                    if not self._stop.is_set():
                        opened.run()
                self.ended = not self._stop.is_set()
                return
            except LinnetError as error:
                pipeline = None
                self.failure = str(error)
                logger.warning("the cameras are opened again in %g s: %s", _AGAIN_S, error)
                self.restarts += 1
                self._stop.wait(_AGAIN_S)

    def _release(self) -> None:
        self.stop()
