"""Frames to labels on a device: a bundle, the one preprocessing, the classifier and the live pipeline.

    from linnet_runtime import Classifier, read_picture             # a picture to a label
    from linnet_runtime import Classifier, Pipeline, open_source    # a camera to labels

The names below are the public interface; the modules are internal.
"""

from linnet_devices.errors import LinnetError
from linnet_runtime.classifier import Classification, Classifier
from linnet_runtime.failover.checked import Limits
from linnet_runtime.pipeline import Pipeline
from linnet_runtime.preprocess import read_picture
from linnet_runtime.results import Result
from linnet_runtime.sources import open_source

__all__ = [
    "Classification",
    "Classifier",
    "Limits",
    "LinnetError",
    "Pipeline",
    "Result",
    "open_source",
    "read_picture",
]
