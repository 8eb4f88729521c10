"""What comes before and after the inference of a 640x480 frame: the ways of fitting it into a model's input of 224 px
against the center crop, the search for motion, and the decision.

    python benchmarks/preprocess.py
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from statistics import median

import numpy as np
from common import Row, arguments, median_ratio, report, time_side_by_side

from linnet_runtime import Classification
from linnet_runtime.crops import CROPS
from linnet_runtime.decisions.decider import Decider
from linnet_runtime.decisions.motion import Motion
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.sources.api import Frame

SIZE = 224
FRAME = (480, 640, 3)
CLASSES = 1000
SETTINGS = {
    "decision, defaults": DecisionSettings(),
    "decision, everything": DecisionSettings(
        threshold=0.5, smoothing="exponential", agree=3, hysteresis=0.1, dwell_s=1.0, top=5
    ),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="turns of each")
    parser.add_argument("--repeats", type=int, default=20, help="calls in a turn")
    args = parser.parse_args()
    frame = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8)
    calls: dict[str, Callable[[], object]] = {
        crop: partial(preprocess, frame, Preprocess(height=SIZE, width=SIZE, crop=crop), color="bgr") for crop in CROPS
    }
    calls["motion"] = partial(Motion(0.01).moved, frame)
    calls |= {name: deciding(settings, frame) for name, settings in SETTINGS.items()}
    times = time_side_by_side(calls, args.rounds, args.repeats)
    rows: list[Row] = [
        {"what": name, "ms": median(of_name), "times the center crop": median_ratio(of_name, times["centre"])}
        for name, of_name in times.items()
    ]
    report({f"A frame of 640x480 to {SIZE} px, and {CLASSES} classes": rows}, args.out)


def deciding(settings: DecisionSettings, pixels: np.ndarray) -> Callable[[], object]:
    """A decider that takes a result at 30 frames per second with each call."""
    decider = Decider([str(i) for i in range(CLASSES)], 1.0, settings)
    logits = np.random.default_rng(0).normal(0, 3, CLASSES).astype(np.float32)
    result = Classification("0", 1.0, (), False, logits, "cpu", "model", {})
    numbers = count()

    def decide() -> object:
        seconds = next(numbers) / 30
        return decider.decide(result, Frame(pixels, captured_at=seconds, captured_monotonic=seconds))

    return decide


if __name__ == "__main__":
    main()
