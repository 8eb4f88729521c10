"""What the feature artifact costs: logits from it as a multiple of the plain int8 artifact's time, in each CPU engine.

    python benchmarks/features.py BUNDLE

BUNDLE was converted with --features. "logits" is the device's feature map and the head in NumPy; "explained" computes
the feature vector and the class activation maps of all classes too. One thread; the calls take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from common import ENGINES, Row, arguments, median_ratio, report, time_side_by_side

from linnet_devices import LinnetError, OpenOptions
from linnet_devices.api import Pixels, Session
from linnet_runtime.bundle import open_bundle
from linnet_runtime.features.head import Head, bundle_of_features, load_head, logits_from, maps_of
from linnet_runtime.sessions import open_session

_ROUNDS, _REPEATS = 15, 20


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()
    bundle = open_bundle(args.bundle)
    of_features, head = bundle_of_features(bundle), load_head(bundle)
    size = (1, bundle.preprocess.height, bundle.preprocess.width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    rows: list[Row] = []
    with ExitStack() as opened:
        for engine in ENGINES:
            plain, features = (
                opened.enter_context(open_session(each, engine, precision="int8", options=OpenOptions(1)))
                for each in (bundle, of_features)
            )
            calls: dict[str, Callable[[], object]] = {
                "plain": partial(plain.run, pixels),
                "logits": partial(logits, features, pixels, head),
                "explained": partial(explained, features, pixels, head),
            }
            times = time_side_by_side(calls, _ROUNDS, _REPEATS)
            ratios = {f"{name} / plain": median_ratio(times[name], times["plain"]) for name in ("logits", "explained")}
            rows.append({"engine": engine, "plain, ms": median(times["plain"]), **ratios})
    report({f"{args.bundle.name}, {size[1]} px, one thread": rows}, args.out)


def logits(session: Session, pixels: Pixels, head: Head | None) -> object:
    return logits_from(session.run(pixels), session.model, head)


def explained(session: Session, pixels: Pixels, head: Head | None) -> object:
    if head is None:
        raise ValueError("no head: bundle_of_features refuses such a bundle")
    maps = maps_of(session.run(pixels), session.model)
    vectors = head.feature_vectors(maps)
    return head.logits_of(vectors), head.activation_maps(maps)


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        raise SystemExit(f"error: {error}") from error
