"""How well each score tells the unknown: unrelated photos, and a class that was left out of training.

    python benchmarks/unknown.py --bundle BUNDLE --run RUN --unrelated FOLDER ...
    python benchmarks/unknown.py --leave-out DATA --training '--size 96 --weights FILE --epochs 6'

The first form measures a bundle: its run's validation photos against photos of other things, whatever their folders.
The second trains a network for each class of DATA without that class, and measures it against the photos of the class.
Every figure is taken in the three CPU engines: the area under the ROC curve (AUROC), and the share of strange photos
that pass where 95 % of the good ones do (FPR at 95 % recall).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import ENGINES, Row, arguments, report
from sklearn.metrics import roc_auc_score

from linnet_devices import LinnetError, OpenOptions
from linnet_devices.api import Pixels
from linnet_runtime.bundle import open_bundle
from linnet_runtime.photos.file import PhotoFile
from linnet_runtime.photos.listing import decode_photos, list_photos
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.run_files import load_run_photos
from linnet_runtime.sessions import open_session
from linnet_runtime.unknown import SCORES, unknown_scores

MOST = 300  # photos of each kind
_SUFFIXES = (".jpg", ".jpeg", ".png")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--run", type=Path, help="the run that made the bundle")
    parser.add_argument("--unrelated", type=Path, nargs="+", default=[], help="folders of photos of other things")
    parser.add_argument("--leave-out", type=Path, metavar="DATA")
    parser.add_argument("--classes", nargs="+", help="leave out these only")
    parser.add_argument("--training", default="", help="more for linnet train")
    args = parser.parse_args()
    rows: list[Row] = []
    for folder in args.unrelated:
        strange = decoded(sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES), args.bundle)
        rows += measure(args.bundle, args.run, strange, folder.name)
    if args.leave_out is not None:
        rows += leave_out(args.leave_out, args.classes, shlex.split(args.training))
    report({"AUROC, and FPR at 95 % recall": rows}, args.out)


def leave_out(data: Path, classes: list[str] | None, training: list[str]) -> list[Row]:
    """A network without each class, and the photos of that class as the strange ones."""
    files = list_photos(data)
    rows: list[Row] = []
    for left in classes or sorted({file.label for file in files}):
        with tempfile.TemporaryDirectory() as folder:
            table, run, bundle = (Path(folder) / name for name in ("data.csv", "run", "x.linnet"))
            lines = [f"{file.path.resolve()},{file.label}" for file in files if file.label != left]
            table.write_text("\n".join(["path,label", *lines, ""]))
            linnet("train", table, "--out", run, *training)
            linnet("convert", run, "--out", bundle)
            strange = decoded([file.path for file in files if file.label == left], bundle)
            rows += measure(bundle, run, strange, f"{data.name} without {left}")
    return rows


def measure(bundle: Path, run: Path, strange: Pixels, name: str) -> list[Row]:
    """Each score in each engine."""
    manifest = open_bundle(bundle)
    good = load_run_photos(run)["val"].pixels[:MOST]
    rows: list[Row] = []
    for engine in ENGINES:
        with open_session(manifest, engine, precision="int8", options=OpenOptions()) as session:
            of_good, of_strange = session.run(good), session.run(strange)
        for score in SCORES:
            known, other = (unknown_scores(score, logits, manifest.temperature) for logits in (of_good, of_strange))
            truth = np.repeat([0, 1], [len(known), len(other)])
            rows.append(
                {
                    "strange": name,
                    "engine": engine,
                    "score": score,
                    "good photos": len(known),
                    "strange photos": len(other),
                    "AUROC": float(roc_auc_score(truth, np.concatenate([known, other]))),
                    "FPR": float((other <= np.quantile(known, 0.95)).mean()),
                }
            )
    return rows


def decoded(paths: list[Path], bundle: Path) -> Pixels:
    """At most ``MOST`` photos, chosen at random, as the bundle's pixels."""
    spec: Preprocess = open_bundle(bundle).preprocess
    chosen = np.random.default_rng(0).permutation(len(paths))[:MOST]
    files = [PhotoFile(paths[i], "strange") for i in chosen]
    return np.stack([pixels for _, pixels in decode_photos(files, spec, lambda _, error: print(error))])


def linnet(*words: object) -> None:
    command = [sys.executable, "-m", "linnet_runtime.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        raise SystemExit(f"error: {error}") from error
