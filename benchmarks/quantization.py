"""What quantisation costs: int8 after training with it, and int8 by calibration alone, against the same float model.

    python benchmarks/quantization.py DATA --work WORK --seeds 0 1 2

DATA is as for trash.py, and has photos/sign_digits/CLASS/*.jpg. MobileNetV2-0.35 from its weights on TrashNet, ResNet-8
from none on the sign digits, a run a seed by ``linnet train``. Judged on the photos that training has not read, those
of the validation and test parts; int8 is the .tflite in LiteRT. Runs stay in WORK; what is there is not made again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import keras
import numpy as np
from common import Row, arguments, report
from numpy.typing import NDArray
from trash import PHOTOS, WEIGHTS, linnet

from linnet_convert.proof.parity import artifact_logits
from linnet_convert.writers.tflite import to_tflite
from linnet_devices import LinnetError
from linnet_devices.api import Logits, Pixels
from linnet_devices.chatter import no_chatter
from linnet_runtime.photos.file import PhotoFile
from linnet_runtime.photos.listing import decode_photos
from linnet_runtime.run_files import FLOAT_MODEL, METRICS, QAT_MODEL, load_metrics, load_run_photos, load_splits
from linnet_train.quantization import calibrate, quantize
from linnet_train.training.loop import predict_logits

TRASH, DIGITS = "trash", "digits"
FOLDERS = {TRASH: PHOTOS, DIGITS: "photos/sign_digits"}
RESNET8 = ("--model", "resnet8", "--size", 32, "--weights", "none", "--epochs", 30, "--augment", "none")
FLOAT, QAT, CALIBRATED = "float", "int8, trained with it", "int8, calibrated alone"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of split, order and first weights")
    args = parser.parse_args()
    judged: list[Row] = []
    differences: list[Row] = []
    for name, settings in ((TRASH, ("--weights", args.data / WEIGHTS)), (DIGITS, RESNET8)):
        photos, of_model = args.data / FOLDERS[name], {}
        for seed in args.seeds:
            run = args.work / f"{name}-{seed}"
            if not (run / METRICS).exists():
                linnet("train", photos, "--out", run, "--seed", seed, "--overwrite", *settings)
            of_model[seed] = judge(run, photos)
            judged += [
                {"data": name, "seed": str(seed), "model": model, "top-1": top1}
                for model, top1 in of_model[seed].items()
            ]
        differences += [
            {"data": name, "points": f"{first} - {second}"}
            | mean_and_error([(top1[first] - top1[second]) * 100 for top1 in of_model.values()])
            for first, second in ((QAT, FLOAT), (QAT, CALIBRATED))
        ]
    report(
        {"top-1 on the photos not trained on": judged, "differences in points, paired by seed": differences}, args.out
    )


def judge(run: Path, photos: Path) -> dict[str, float]:
    """Top-1 of the float model and of the int8 .tflite made in either way."""
    pixels, labels = unseen(run, photos)
    float_model = keras.saving.load_model(run / FLOAT_MODEL, compile=False)
    qat = keras.saving.load_model(run / QAT_MODEL, compile=False)
    training = load_run_photos(run)["train"].pixels
    calibrated = quantize(float_model)
    calibrate(calibrated, training)
    logits = {
        FLOAT: predict_logits(float_model, pixels),
        QAT: tflite_logits(qat, training, pixels),
        CALIBRATED: tflite_logits(calibrated, training, pixels),
    }
    return {name: float((of_model.argmax(axis=1) == labels).mean()) for name, of_model in logits.items()}


def unseen(run: Path, photos: Path) -> tuple[Pixels, NDArray[np.int64]]:
    """The photos of the parts that training does not read, from the folder again, and their labels' indices."""

    def refuse(_: PhotoFile, error: LinnetError) -> None:
        raise error

    metrics, splits = load_metrics(run), load_splits(run)
    files = [PhotoFile(photos / name, (photos / name).parent.name) for name in splits.val + splits.test]
    pixels = np.stack([pixels for _, pixels in decode_photos(files, metrics.preprocess, refuse)])
    return pixels, np.array([metrics.classes.index(file.label) for file in files])


def tflite_logits(model: keras.Model, training: Pixels, pixels: Pixels) -> Logits:
    with tempfile.TemporaryDirectory() as folder, no_chatter():
        return artifact_logits(to_tflite(model, "int8", training, Path(folder)), Path(folder), pixels)


def mean_and_error(values: Sequence[float]) -> dict[str, float | None]:
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": mean(values), "standard error": error}


if __name__ == "__main__":
    main()
