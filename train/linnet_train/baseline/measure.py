"""Classical classifiers on classical features, on the same split of the photos as ``linnet train``.

Each classifier's setting is chosen on the validation part, and so is the best row: the test part is used once, for the
figures.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from linnet_devices.api import Pixels
from linnet_runtime.proof.comparison import Share
from linnet_train.baseline.features import (
    Floats,
    color_histograms,
    hu_moments,
    local_binary_patterns,
    oriented_gradients,
    sift_descriptors,
)
from linnet_train.data.dataset import Dataset

_STRENGTHS = (0.01, 0.1, 1.0)  # the weight of the classifier's loss against its regularization
_NEIGHBORS = (1, 5, 15)
_COMPONENTS = 128
_WORDS, _KEYPOINTS, _DESCRIPTORS, _PASSES = 200, 80, 20_000, 10  # for the bag of words
_TOGETHER = 512  # photos read from the disk at once

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """A classifier on features."""

    features: str
    classifier: str
    setting: float
    """The strength or the number of neighbors that is best on the validation part."""
    val: float
    """Top-1 on the validation part, 0..1."""
    test: Share
    """Top-1 on the test part."""


@dataclass(frozen=True)
class Baseline:
    """The accuracy of classical features."""

    classes: tuple[str, ...]
    splits: dict[str, int]
    """The number of photos of each part."""
    commonest: Share
    """Top-1 on the test part of the commonest class of the training part, for all photos."""
    rows: tuple[Row, ...]
    best: Row
    """The row that is best on the validation part."""
    seconds: dict[str, float]
    """The seconds of each kind of features with its classifiers."""


def measure_baseline(photos: Dataset, *, seed: int, on_features: Callable[[str], object] = lambda _: None) -> Baseline:
    """Trains every classifier on every kind of features.

    Args:
        photos: read and divided.
        seed: the seed of the words and of the classifiers.
        on_features: is called with the name of each kind of features that is done.
    """
    train, test = (photos.labels[photos.parts[part]] for part in ("train", "test"))
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    computed: list[Floats] = []
    for name in FEATURES:
        started = time.perf_counter()
        if name == _ALL:
            values = np.hstack(computed)
        else:
            values = FEATURES[name](photos, seed)
            computed.append(values)
        rows += _rows(name, values, photos, seed)
        seconds[name] = time.perf_counter() - started
        on_features(name)
    return Baseline(
        classes=photos.classes,
        splits={part: len(indices) for part, indices in photos.parts.items()},
        commonest=Share.of(test == np.bincount(train).argmax()),
        rows=tuple(rows),
        best=max(rows, key=lambda row: row.val),
        seconds=seconds,
    )


def _in_turn(function: Callable[[Pixels], Floats]) -> Callable[[Dataset, int], Floats]:
    def compute(photos: Dataset, _seed: int) -> Floats:
        starts = range(0, len(photos.pixels), _TOGETHER)
        return np.concatenate([function(photos.pixels[start : start + _TOGETHER]) for start in starts])

    return compute


def _bag_of_words(photos: Dataset, seed: int) -> Floats:
    """SIFT descriptors as a histogram of 200 words, which are found in the training part.

    Sivic and Zisserman, "Video Google" (2003); Csurka et al., "Visual categorization with bags of keypoints" (2004).
    """
    descriptors = [
        found
        for start in range(0, len(photos.pixels), _TOGETHER)
        for found in sift_descriptors(photos.pixels[start : start + _TOGETHER], _KEYPOINTS)
    ]
    learnt = np.concatenate([descriptors[i] for i in photos.parts["train"]])
    histograms = np.zeros((len(descriptors), _WORDS), np.float32)
    words = min(_WORDS, len(learnt))
    if not words:
        return histograms
    chosen = np.random.default_rng(seed).permutation(len(learnt))[:_DESCRIPTORS]
    vocabulary = MiniBatchKMeans(words, batch_size=4096, max_iter=_PASSES, n_init=1, random_state=seed).fit(
        learnt[chosen]
    )
    counts = np.array([len(found) for found in descriptors])
    photo_of = np.repeat(np.arange(len(descriptors)), counts)
    np.add.at(histograms, (photo_of, vocabulary.predict(np.concatenate(descriptors))), 1)
    return np.sqrt(histograms / np.maximum(counts, 1)[:, None]).astype(np.float32)


_ALL = "all together"
FEATURES: dict[str, Callable[[Dataset, int], Floats]] = {
    "color histogram": _in_turn(color_histograms),
    "local binary patterns": _in_turn(local_binary_patterns),
    "oriented gradients": _in_turn(oriented_gradients),
    "Hu moments": _in_turn(hu_moments),
    "SIFT words": _bag_of_words,
    _ALL: lambda _photos, _seed: np.zeros((0, 0), np.float32),
}


def _rows(name: str, values: Floats, photos: Dataset, seed: int) -> list[Row]:
    parts = {part: (values[indices], photos.labels[indices]) for part, indices in photos.parts.items()}
    scaled = make_pipeline(StandardScaler(), PCA(min(_COMPONENTS, *parts["train"][0].shape), random_state=seed))
    scaled.fit(parts["train"][0])
    inputs = {part: (scaled.transform(found), labels) for part, (found, labels) in parts.items()}
    candidates: dict[str, dict[float, Any]] = {
        "logistic regression": {c: LogisticRegression(C=c, max_iter=300) for c in _STRENGTHS},
        "linear SVM": {c: LinearSVC(C=c / 10, dual=False, random_state=seed) for c in _STRENGTHS},
        "nearest neighbors": {k: KNeighborsClassifier(k) for k in _NEIGHBORS if k <= len(inputs["train"][1])},
    }
    return [_best(name, kind, settings, inputs) for kind, settings in candidates.items()]


def _best(name: str, kind: str, settings: dict[float, Any], inputs: dict[str, tuple[Floats, Labels]]) -> Row:
    """The setting that is best on the validation part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline need not be exact to the last digit
        fitted = {setting: model.fit(*inputs["train"]) for setting, model in settings.items()}
    val = {setting: float(model.score(*inputs["val"])) for setting, model in fitted.items()}
    setting = max(val, key=lambda setting: val[setting])
    test, labels = inputs["test"]
    return Row(name, kind, setting, val[setting], Share.of(fitted[setting].predict(test) == labels))
