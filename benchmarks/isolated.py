"""What the child process costs: run() of an IsolatedSession against the same session in this process.

    python benchmarks/isolated.py

MobileNetV2 at 224 px with untrained weights (they do not change the time), int8, LiteRT on one thread; and, to show the
crossing alone, the simulated device, whose inference is a few means.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from common import Row, arguments, report, time_side_by_side
from frame_overhead import SIZE, untrained_bundle

from linnet_devices import OpenOptions, load_device
from linnet_devices.chatter import no_chatter
from linnet_devices.isolated import IsolatedSession
from linnet_runtime.bundle import open_bundle
from linnet_runtime.bundle_files import write_bundle

DEVICES = ("cpu:litert", "fake")
OPTIONS = OpenOptions(threads=1)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--alpha", type=float, default=0.35, help="width multiplier")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each")
    parser.add_argument("--repeats", type=int, default=10, help="calls in a turn")
    args = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        bundle = Path(directory) / "untrained.linnet"
        with no_chatter():
            write_bundle(bundle, lambda root: untrained_bundle(root, args.alpha), overwrite=False)
        artifact = open_bundle(bundle).artifacts[0]
        for name in DEVICES:
            with (
                load_device(name).open(artifact, OPTIONS) as here,
                IsolatedSession(name, artifact, OPTIONS) as isolated,
            ):
                calls = {"here": lambda: here.run(pixels), "isolated": lambda: isolated.run(pixels)}
                times = time_side_by_side(calls, args.rounds, args.repeats)
            over = [a - b for a, b in zip(times["isolated"], times["here"], strict=True)]
            rows.append(
                {
                    "device": name,
                    "in process ms": median(times["here"]),
                    "isolated ms": median(times["isolated"]),
                    "ms over it": median(over),
                    "p90 over it": float(np.percentile(over, 90)),
                }
            )
    report({f"MobileNetV2 {args.alpha:g} at {SIZE} px, int8, one thread": rows}, args.out)


if __name__ == "__main__":
    main()
