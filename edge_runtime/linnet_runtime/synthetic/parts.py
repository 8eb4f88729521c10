"""The table of the parts that can be rendered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linnet_runtime.synthetic.flat_parts import gear, nut, washer
from linnet_runtime.synthetic.relief import Relief
from linnet_runtime.synthetic.turned_parts import bolt, screw, spring

PARTS: dict[str, Callable[[int, np.random.Generator], Relief]] = {
    "bolt": bolt,
    "gear": gear,
    "nut": nut,
    "screw": screw,
    "spring": spring,
    "washer": washer,
}
"""Draws a part at random within its class, given its longest dimension in pixels, at least 24."""
