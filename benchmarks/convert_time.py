"""Seconds of ``linnet convert`` as a whole process on two cores: six artifacts, their proof and the reports.

    python benchmarks/convert_time.py RUN --rounds 3

RUN is any run. The figure in the README is of MobileNetV2 1.0 at 224 px with 200 validation photos: ``linnet train
PHOTOS --out RUN --alpha 1.0 --size 224 --weights none --epochs 3 --qat-epochs 1`` with 1,000 photos.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Row, arguments, report

from linnet_runtime.bundle import open_bundle

CORES = 2


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # which the children inherit
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "model.linnet"
        for _ in range(args.rounds):
            started = time.perf_counter()
            command = [sys.executable, "-m", "linnet_runtime.cli", "convert", str(args.run), "--out", str(bundle)]
            subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - started
            artifacts = open_bundle(bundle).artifacts
            photos = min(artifact.parity.n for artifact in artifacts if artifact.parity)
            rows.append({"seconds": seconds, "artifacts": len(artifacts), "photos": photos})
    report({f"linnet convert {args.run} on {CORES} cores": rows}, args.out)


if __name__ == "__main__":
    main()
