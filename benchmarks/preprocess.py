"""What the ways of fitting a picture into a model's input cost: a 640x480 frame to 224 px, against the center crop.

python benchmarks/preprocess.py
"""

from __future__ import annotations

from functools import partial
from statistics import median

import numpy as np
from common import arguments, median_ratio, report, time_side_by_side

from linnet_runtime.preprocess import CROPS, Preprocess, preprocess

SIZE = 224
FRAME = (480, 640, 3)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="turns of each")
    parser.add_argument("--repeats", type=int, default=20, help="calls in a turn")
    args = parser.parse_args()
    frame = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8)
    specs = {crop: Preprocess(height=SIZE, width=SIZE, crop=crop) for crop in CROPS}
    times = time_side_by_side(
        {crop: partial(preprocess, frame, spec, color="bgr") for crop, spec in specs.items()}, args.rounds, args.repeats
    )
    rows = [
        {"crop": crop, "ms": median(times[crop]), "times the center crop": median_ratio(times[crop], times["centre"])}
        for crop in CROPS
    ]
    report({f"A frame of 640x480 to {SIZE} px": rows}, args.out)


if __name__ == "__main__":
    main()
