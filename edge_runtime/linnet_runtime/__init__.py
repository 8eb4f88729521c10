"""Camera frames to labels: the bundle, the one preprocessing, the classifier and the live pipeline."""

from linnet_runtime.bundle import Bundle, open_bundle
from linnet_runtime.classifier import Classification, Classifier
from linnet_runtime.preprocess import Preprocess, preprocess

__all__ = ["Bundle", "Classification", "Classifier", "Preprocess", "open_bundle", "preprocess"]
