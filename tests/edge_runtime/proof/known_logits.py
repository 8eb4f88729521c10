"""Pictures, classes and logits that the tests of proof compare."""

from __future__ import annotations

import numpy as np

from linnet_devices.api import Logits
from linnet_runtime.proof.canary import Canary

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)


def one_hot(classes: list[int]) -> Logits:
    return np.eye(3, dtype=np.float32)[classes]


NAMES = ("bolt", "nut", "washer")
KNOWN = np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5], [2, 1.75, 0]] * 2, np.float32)  # the fourth is a close call
CANARY = Canary(PIXELS, {"model": KNOWN}, {"model": 0.5})
