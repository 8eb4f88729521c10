"""What Linnet adds to the bare interpreter: a 640x480 frame to a Classification, against invoke() of the same file.

    python benchmarks/frame_overhead.py

MobileNetV2 at 224 px with untrained weights (they do not change the time), int8, LiteRT on one thread.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from common import Row, arguments, median_ratio, report, time_side_by_side

from linnet_convert.writers.tflite import to_tflite
from linnet_devices import OpenOptions
from linnet_devices.chatter import no_chatter
from linnet_runtime import Classifier
from linnet_runtime.bundle import SCHEMA, Bundle, Provenance, write_bundle
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize

SIZE = 224
CLASSES = 1000
FRAME = (480, 640, 3)
CALIBRATION_PHOTOS = 8


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--alpha", type=float, default=1.0, help="width multiplier")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each")
    parser.add_argument("--repeats", type=int, default=10, help="calls in a turn")
    args = parser.parse_args()
    frame = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as directory:
        bundle = Path(directory) / "untrained.linnet"
        with no_chatter():
            write_bundle(bundle, lambda root: untrained_bundle(root, args.alpha), overwrite=False)
        with Classifier.open(bundle, "cpu:litert", options=OpenOptions(threads=1)) as classifier:
            spec = classifier.bundle.preprocess
            with no_chatter():
                interpreter = Interpreter(model_path=classifier.session.model.path, num_threads=1)
                interpreter.allocate_tensors()
            pixels = preprocess(frame, spec, color="bgr")[None]
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
            times = time_side_by_side(
                {
                    "bare invoke()": interpreter.invoke,
                    "frame to result": lambda: classifier.classify(frame, color="bgr"),
                    "preprocess alone": lambda: preprocess(frame, spec, color="bgr"),
                },
                args.rounds,
                args.repeats,
            )
    bare, whole = times["bare invoke()"], times["frame to result"]
    over = median(a - b for a, b in zip(whole, bare, strict=True))
    rows: list[Row] = [
        {"what": name, "ms": median(of_name), "times the bare": None, "ms over it": None}
        for name, of_name in times.items()
    ]
    rows[1] |= {"times the bare": median_ratio(whole, bare), "ms over it": over}
    report({f"MobileNetV2 {args.alpha:g} at {SIZE} px, int8, LiteRT, one thread; frame 640x480": rows}, args.out)


def untrained_bundle(root: Path, alpha: float) -> Bundle:
    """Puts an int8 .tflite into a bundle's directory; gives the manifest."""
    model = build_model("mobilenet_v2", classes=CLASSES, size=SIZE, alpha=alpha, weights="none", dropout=0.0)
    int8 = quantize(model)
    photos = np.random.default_rng(0).integers(0, 256, (CALIBRATION_PHOTOS, SIZE, SIZE, 3), dtype=np.uint8)
    calibrate(int8, photos)
    return Bundle(
        schema=SCHEMA,
        name="untrained",
        labels=tuple(map(str, range(CLASSES))),
        preprocess=Preprocess(height=SIZE, width=SIZE),
        artifacts=(to_tflite(int8, "int8", photos, root),),
        provenance=Provenance(
            source="untrained",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={"linnet": version("linnet")},
        ),
    )


if __name__ == "__main__":
    main()
