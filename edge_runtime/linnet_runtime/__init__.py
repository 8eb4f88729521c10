"""Frames to labels on a device: a bundle, the one preprocessing, the classifier and the live pipeline.

    from linnet_runtime import Classifier, read_picture             # a picture to a label
    from linnet_runtime import Classifier, Pipeline, open_source    # a camera to labels

The names below are the public interface. So are, for authors of sources and sinks, ``linnet_runtime.sources``,
``linnet_runtime.sources.api``, ``linnet_runtime.sinks``, ``linnet_runtime.sinks.api``, ``linnet_runtime.results`` and
``linnet_runtime.testing``. The other modules are internal, and say so.
"""

import importlib
import os
from typing import TYPE_CHECKING

# OpenCV reads its settings when it is loaded, and ends the program on a wrong one. Its limit is a second one behind
# that of ``preprocess``, for files whose parts contradict their header.
os.environ.setdefault(
    "OPENCV_IO_MAX_IMAGE_PIXELS",
    wanted if (wanted := os.environ.get("LINNET_MAX_PIXELS", "")).isdecimal() else "50000000",
)
# Its log repeats in other words, on standard error, what Linnet's errors say.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

if TYPE_CHECKING:
    from linnet_devices.errors import LinnetError
    from linnet_runtime.classifier import Classification, Classifier
    from linnet_runtime.decisions.settings import DecisionSettings, Region, When
    from linnet_runtime.failover.checked import Limits
    from linnet_runtime.pipeline.camera import Camera, CameraSettings
    from linnet_runtime.pipeline.pipeline import Pipeline
    from linnet_runtime.preprocess import read_picture
    from linnet_runtime.results import Event, Result
    from linnet_runtime.sources import open_source

__all__ = [
    "Camera",
    "CameraSettings",
    "Classification",
    "Classifier",
    "DecisionSettings",
    "Event",
    "Limits",
    "LinnetError",
    "Pipeline",
    "Region",
    "Result",
    "When",
    "open_source",
    "read_picture",
]

# Imported on use: the program must be able to end in one line before OpenCV and NumPy are loaded.
_MODULES = {
    "Camera": "linnet_runtime.pipeline.camera",
    "CameraSettings": "linnet_runtime.pipeline.camera",
    "Classification": "linnet_runtime.classifier",
    "Classifier": "linnet_runtime.classifier",
    "DecisionSettings": "linnet_runtime.decisions.settings",
    "Event": "linnet_runtime.results",
    "Limits": "linnet_runtime.failover.checked",
    "LinnetError": "linnet_devices.errors",
    "Pipeline": "linnet_runtime.pipeline.pipeline",
    "Region": "linnet_runtime.decisions.settings",
    "Result": "linnet_runtime.results",
    "When": "linnet_runtime.decisions.settings",
    "open_source": "linnet_runtime.sources",
    "read_picture": "linnet_runtime.preprocess",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
