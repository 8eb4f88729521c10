"""Real photos, from a folder to labels: train, convert, and judge every int8 artifact on the run's own test photos.

    python benchmarks/trash.py DATA --work WORK --seeds 0 1 2

DATA holds photos/trash/CLASS/*.jpg (TrashNet), weights/mobilenet_v2_0.35_224_imagenet_no_top.weights.h5 (MobileNetV2
without its head) and video/bottle-detection.mp4 (a conveyor, for ``linnet run`` in each CPU engine). Each seed's run
and bundle stay in WORK, for quantization.py too; what is there is not made again, and an interrupted run goes on.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import keras
import numpy as np
from common import ENGINES, Row, arguments, report

from linnet_devices import LinnetError, OpenOptions
from linnet_runtime.bundle import open_bundle
from linnet_runtime.photos.file import PhotoFile
from linnet_runtime.photos.listing import decode_photos
from linnet_runtime.run_files import CONFIG, METRICS, QAT_MODEL, load_metrics, load_splits
from linnet_runtime.sessions import open_session
from linnet_train.training.loop import predict_logits

PHOTOS = "photos/trash"
WEIGHTS = "weights/mobilenet_v2_0.35_224_imagenet_no_top.weights.h5"
CLIP = "video/bottle-detection.mp4"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="the folder for runs and bundles")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of split, order and first weights")
    parser.add_argument("--training", default="", help="more for linnet train; a quick try: --training='--epochs 1'")
    args = parser.parse_args()
    seconds: list[Row] = []
    judged: list[Row] = []
    for seed in args.seeds:
        run, bundle = args.work / f"trash-{seed}", args.work / f"trash-{seed}.linnet"
        seconds.append({"seed": str(seed), **make(run, bundle, args.data, seed, shlex.split(args.training))})
        judged += [{"seed": str(seed), **row} for row in judge(run, bundle, args.data / PHOTOS)]
    clip = [label_clip(args.work / f"trash-{args.seeds[0]}.linnet", args.data / CLIP, device) for device in ENGINES]
    tables = {
        "top-1 on the test photos; agreement of top-1 with the Keras QAT model": judged + means(judged),
        "seconds": seconds,
        f"linnet run on the clip, seed {args.seeds[0]}": clip,
    }
    report(tables, args.out)


def make(run: Path, bundle: Path, data: Path, seed: int, more: list[str]) -> dict[str, float | None]:
    """Trains and converts what is not there yet; the seconds, kept beside the run, are None for an interrupted one."""
    record = run.with_suffix(".seconds.json")
    seconds = json.loads(record.read_bytes()) if record.exists() else {"train": None, "convert": None}
    if not (run / METRICS).exists():
        interrupted = (run / CONFIG).exists()
        fresh = (data / PHOTOS, "--out", run, "--weights", data / WEIGHTS, "--seed", seed, *more)
        took = linnet("train", *(("--resume", run) if interrupted else fresh))
        seconds["train"] = None if interrupted else took
        record.write_text(json.dumps(seconds))
    if not bundle.exists():
        seconds["convert"] = linnet("convert", run, "--out", bundle)
    record.write_text(json.dumps(seconds))
    return seconds


def linnet(*arguments: object) -> float:
    """Runs ``linnet`` with its output on the terminal; gives the seconds."""
    command = ["linnet", *map(str, arguments)]
    print("$", shlex.join(command), flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", "linnet_runtime.cli", *command[1:]], check=False).returncode
    if status:
        sys.exit(status)  # it has said why
    return time.monotonic() - started


def judge(run: Path, bundle: Path, photos: Path) -> list[Row]:
    """A row for each Keras model and each int8 artifact on the run's test part, read from the folder again."""

    def refuse(_: PhotoFile, error: LinnetError) -> None:
        raise error

    manifest = open_bundle(bundle)
    names = load_splits(run).test
    files = [PhotoFile(photos / name, (photos / name).parent.name) for name in names]
    pixels = np.stack([pixels for _, pixels in decode_photos(files, manifest.preprocess, refuse)])
    labels = np.array([manifest.labels.index(file.label) for file in files])
    qat_logits = predict_logits(keras.saving.load_model(run / QAT_MODEL, compile=False), pixels)
    float_top1 = load_metrics(run).float_model.top1
    found: dict[str, tuple[float, float | None]] = {
        "Keras float": (float_top1, None),
        "Keras QAT": (float((qat_logits.argmax(axis=1) == labels).mean()), None),
    }
    for device in ENGINES:
        with open_session(manifest, device, precision="int8", options=OpenOptions()) as session:
            top1 = session.run(pixels).argmax(axis=1)
        found[f"int8 on {device}"] = (
            float((top1 == labels).mean()),
            float((top1 == qat_logits.argmax(axis=1)).mean()),
        )
    return [
        {"model": model, "top-1": top1, "points from float": (top1 - float_top1) * 100, "agreement": agreement}
        for model, (top1, agreement) in found.items()
    ]


def means(rows: list[Row]) -> list[Row]:
    """The rows of one model after the other, averaged over the seeds."""
    models = dict.fromkeys(row["model"] for row in rows)
    return [
        {"seed": "mean", "model": model}
        | {key: mean_of(row[key] for row in rows if row["model"] == model) for key in list(rows[0])[2:]}
        for model in models
    ]


def mean_of(values: Iterable[object]) -> float | None:
    numbers = [value for value in values if isinstance(value, float)]
    return mean(numbers) if numbers else None


def label_clip(bundle: Path, clip: Path, device: str) -> Row:
    """``linnet run`` on every frame of a clip: the rate, and how often each label was given."""
    command = [
        sys.executable,
        "-m",
        "linnet_runtime.cli",
        "run",
        str(bundle),
        "--source",
        str(clip),
        "--device",
        device,
    ]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    *frames, last = map(json.loads, lines)
    labels = Counter(frame["label"] for frame in frames)
    return {
        "device": device,
        "frames": len(frames),
        "a second": last["summary"]["fps"],
        "age p50 ms": last["summary"]["age_ms"]["p50"],
        "labels": ", ".join(f"{label} {count}" for label, count in labels.most_common()),
    }


if __name__ == "__main__":
    main()
