"""Maps of what a label depends on: from the device's own feature map, or by covering parts of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels
from linnet_runtime.classifier import Classification, Classifier

Floats = NDArray[np.float32]
GRID = 8  # parts along each side that occlusion covers one after the other
_FEWEST_PLACES = 3  # along a side of a class activation map: with fewer it hardly locates anything
_GRAY = 128  # covers a part: the input value 0 of a model that Linnet trains
_OPACITY = 0.6  # the colors' opacity where the map is strongest


@dataclass(frozen=True)
class Explained:
    """A picture, its label and the map of that label."""

    pixels: Pixels
    """What the model saw: uint8 RGB [H, W, 3]."""
    classification: Classification
    label: str
    """The label of the map: the most probable one, also where the answer is ``"unknown"``."""
    method: Literal["class activation", "occlusion"]
    """``"class activation"``: what each place adds to the label's logit, exact for this model. ``"occlusion"``: how
    much the logit falls when a part is covered."""
    map: Floats
    """float32 [h, w], in units of the logit; positive values raise it."""


def explain(classifier: Classifier, picture: NDArray[np.uint8]) -> Explained:
    """Labels a picture, uint8 BGR [H, W, 3], and maps its label.

    A classifier that was opened with ``explain`` gives the class activation map, unless that has fewer than 3 places
    along a side, as for pictures of 64 pixels. Otherwise the model runs once for each of 8 by 8 covered parts (Zeiler
    and Fergus, "Visualizing and understanding convolutional networks", 2014).

    Raises:
        DeviceError: the device failed.
    """
    prepared = classifier.prepare(picture, color="bgr")
    found = classifier.label(classifier.run_prepared(prepared))
    best = int(found.logits.argmax())
    label, pixels = classifier.bundle.labels[best], prepared.pixels[0]
    if found.saliency_map is not None and min(found.saliency_map.shape[1:]) >= _FEWEST_PLACES:
        return Explained(pixels, found, label, "class activation", found.saliency_map[best])
    return Explained(pixels, found, label, "occlusion", _occlusion_map(classifier, pixels, best, found.logits[best]))


def _occlusion_map(classifier: Classifier, pixels: Pixels, label: int, logit: np.float32) -> Floats:
    """How much the logit falls when each part is covered: float32 [GRID, GRID]."""
    height, width = pixels.shape[:2]
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in (height, width))
    covered = np.repeat(pixels[None], GRID * GRID, axis=0)
    for i in range(GRID):
        for j in range(GRID):
            covered[i * GRID + j, rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = _GRAY
    return (logit - classifier.logits(covered)[:, label]).reshape(GRID, GRID).astype(np.float32)


def overlay(explained: Explained, side: int) -> NDArray[np.uint8]:
    """The picture with the positive part of its map in color, uint8 BGR, ``side`` pixels on the longer side."""
    height, width = explained.pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = cv2.resize(explained.pixels[..., ::-1], size, interpolation=cv2.INTER_CUBIC)
    strength = np.maximum(explained.map, 0)
    strength = strength / (strength.max() or 1)
    smooth = np.clip(cv2.resize(strength, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    colors = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = (_OPACITY * smooth)[..., None]
    return np.rint(picture * (1 - share) + colors * share).astype(np.uint8)
