"""The CPU engines side by side on the int8 artifacts of one bundle, and their ratio to LiteRT.

    python benchmarks/engines.py BUNDLE

Through the runtime's own sessions: pixels that are already preprocessed in, logits out, one picture at a time.
"""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from common import ENGINES, Row, arguments, median_ratio, report, time_side_by_side

from linnet_devices import OpenOptions
from linnet_runtime import open_bundle
from linnet_runtime.sessions import open_session


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1, help="of each engine")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each")
    parser.add_argument("--repeats", type=int, default=50, help="calls in a turn")
    args = parser.parse_args()
    manifest = open_bundle(args.bundle)
    size = (1, manifest.preprocess.height, manifest.preprocess.width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    with contextlib.ExitStack() as stack:
        sessions = {
            name: stack.enter_context(
                open_session(manifest, name, precision="int8", options=OpenOptions(threads=args.threads))
            )
            for name in ENGINES
        }
        calls = {name: partial(session.run, pixels) for name, session in sessions.items()}
        times = time_side_by_side(calls, args.rounds, args.repeats)
        rows: list[Row] = [
            {
                "engine": name,
                "artifact": Path(session.artifact.path).name,
                "ms": median(times[name]),
                "times LiteRT's": median_ratio(times[name], times["cpu:litert"]),
            }
            for name, session in sessions.items()
        ]
    report({f"{manifest.name}, int8, {size[1]}x{size[2]}, threads: {args.threads}": rows}, args.out)


if __name__ == "__main__":
    main()
