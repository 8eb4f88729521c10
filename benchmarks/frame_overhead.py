"""What Linnet adds to the bare interpreter on a 640x480 frame: against invoke() of the same file, in the same run.

    python benchmarks/frame_overhead.py

1. A frame to a Classification, and the preprocessing alone, as multiples of invoke().
2. A clip at full speed through the pipeline: results a second over those of invoke() in a loop.
3. A clip at 30 frames a second through the pipeline: the frames' age, and its processor time over that of a bare loop
   of OpenCV and LiteRT at the same rate.

MobileNetV2 at 224 px with untrained weights (they do not change the time), int8, LiteRT on one thread.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from common import Row, arguments, median_ratio, report, time_side_by_side

from linnet_convert.writers.tflite import to_tflite
from linnet_devices import OpenOptions
from linnet_devices.chatter import no_chatter
from linnet_runtime import Camera, CameraSettings, Classifier, Pipeline, open_source
from linnet_runtime.bundle import Bundle, Provenance
from linnet_runtime.bundle_files import write_bundle
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.synthetic.conveyor import conveyor_frames
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize

SIZE = 224
CLASSES = 1000
FRAME = (480, 640, 3)
CALIBRATION_PHOTOS = 8
CLIP_FRAMES = 150
CLIP_FPS = 30.0


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--alpha", type=float, default=1.0, help="width multiplier")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each, for a single frame")
    parser.add_argument("--repeats", type=int, default=10, help="calls in a turn, for a single frame")
    parser.add_argument("--clips", type=int, default=4, help="turns of each, for a clip")
    parser.add_argument("--bundle", type=Path, help="a bundle to measure instead, with an int8 .tflite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bundle = args.bundle or Path(directory) / "untrained.linnet"
        with no_chatter():
            if args.bundle is None:
                write_bundle(bundle, lambda root: untrained_bundle(root, args.alpha), overwrite=False)
        clip = write_clip(Path(directory) / "belt.avi")
        with Classifier.open(bundle, "cpu:litert", options=OpenOptions(threads=1)) as classifier:
            with no_chatter():
                interpreter = Interpreter(model_path=classifier.session.model.path, num_threads=1)
                interpreter.allocate_tensors()
            title = f"{classifier.bundle.name}, int8, LiteRT, one thread; frame 640x480"
            tables = {
                f"A frame: {title}": single_frame(classifier, interpreter, args.rounds, args.repeats),
                f"A clip at full speed: {title}": full_speed(classifier, interpreter, clip, args.clips),
                f"A clip at {CLIP_FPS:g} frames a second: {title}": paced(classifier, interpreter, clip, args.clips),
            }
    report(tables, args.out)


def single_frame(classifier: Classifier, interpreter: Any, rounds: int, repeats: int) -> list[Row]:
    frame, spec = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8), classifier.bundle.preprocess
    set_input(interpreter, preprocess(frame, spec, color="bgr"))
    times = time_side_by_side(
        {
            "bare invoke()": interpreter.invoke,
            "frame to result": lambda: classifier.classify(frame, color="bgr"),
            "preprocess alone": lambda: preprocess(frame, spec, color="bgr"),
        },
        rounds,
        repeats,
    )
    bare, whole = times["bare invoke()"], times["frame to result"]
    rows: list[Row] = [
        {"what": name, "ms": median(of_name), "times the bare": None, "ms over it": None}
        for name, of_name in times.items()
    ]
    over = median(a - b for a, b in zip(whole, bare, strict=True))
    rows[1] |= {"times the bare": median_ratio(whole, bare), "ms over it": over}
    return rows


def full_speed(classifier: Classifier, interpreter: Any, clip: Path, turns: int) -> list[Row]:
    """Half of the bare turn comes before the pipeline's and half after it, so that a change of load meets both."""
    bare, piped = [], []
    for measured in (False, *[True] * turns):  # the first turn warms up
        before = invokes_a_second(interpreter, CLIP_FRAMES // 2)
        rate = results_a_second(classifier, clip)
        after = invokes_a_second(interpreter, CLIP_FRAMES // 2)
        if measured:
            bare.append(2 / (1 / before + 1 / after))
            piped.append(rate)
    ratio = median(a / b for a, b in zip(piped, bare, strict=True))
    return [
        {"what": "bare invoke()", "a second": median(bare), "times the bare": None},
        {"what": "results of the pipeline", "a second": median(piped), "times the bare": ratio},
    ]


def invokes_a_second(interpreter: Any, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        interpreter.invoke()
    return count / (time.perf_counter() - started)


def results_a_second(classifier: Classifier, clip: Path) -> float:
    """From the first result to the last."""
    with Pipeline(lambda: open_source(str(clip)), classifier) as pipeline:
        times = [time.perf_counter() for _ in pipeline]
    return (len(times) - 1) / (times[-1] - times[0])


def paced(classifier: Classifier, interpreter: Any, clip: Path, turns: int) -> list[Row]:
    spec = classifier.bundle.preprocess
    camera = Camera(lambda: open_source(str(clip), paced=True), CameraSettings(policy="newest"))
    piped, bare, ages, inferences = [], [], [], []
    for _ in range(turns):
        started = time.process_time()
        with Pipeline([camera], classifier) as pipeline:
            for result in pipeline:
                ages.append(result.age_ms)
                inferences.append(result.stages_ms["inference"])
        piped.append(time.process_time() - started)
        started = time.process_time()
        bare_loop(interpreter, clip, (spec.width, spec.height))
        bare.append(time.process_time() - started)
    seconds = CLIP_FRAMES / CLIP_FPS
    inference = median(inferences)
    return [
        {
            "what": name,
            "processor share": median(used) / seconds,
            "times the bare": median_ratio(used, bare) if used is piped else None,
            "age p99, ms": float(np.percentile(ages, 99)) if used is piped else None,
            "two inferences and a frame, ms": 2 * inference + 1e3 / CLIP_FPS if used is piped else None,
        }
        for name, used in (("bare OpenCV and LiteRT", bare), ("the pipeline", piped))
    ]


def bare_loop(interpreter: Any, clip: Path, size: tuple[int, int]) -> None:
    """What somebody would write by hand: read, resize, convert, invoke; at the clip's rate."""
    capture = cv2.VideoCapture(str(clip))
    input_index, output_index = (
        interpreter.get_input_details()[0]["index"],
        interpreter.get_output_details()[0]["index"],
    )
    started, count = time.monotonic(), 0
    while True:
        found, frame = capture.read()
        if not found:
            break
        time.sleep(max(0.0, started + count / CLIP_FPS - time.monotonic()))
        count += 1
        square = frame[:, (frame.shape[1] - frame.shape[0]) // 2 :][:, : frame.shape[0]]
        pixels = cv2.cvtColor(cv2.resize(square, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(input_index, pixels[None])
        interpreter.invoke()
        interpreter.get_tensor(output_index)[0].argmax()
    capture.release()


def write_clip(path: Path) -> Path:
    """The rendered belt as Motion JPEG of 640x480 at 30 frames a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), CLIP_FPS, FRAME[1::-1])
    for frame, _ in conveyor_frames(0, CLIP_FRAMES, FRAME[:2], CLIP_FPS):
        writer.write(frame)
    writer.release()
    return path


def set_input(interpreter: Any, pixels: Any) -> None:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None])


def untrained_bundle(root: Path, alpha: float) -> Bundle:
    """Puts an int8 .tflite into a bundle's directory; gives the manifest."""
    model = build_model("mobilenet_v2", classes=CLASSES, size=SIZE, alpha=alpha, weights="none", dropout=0.0)
    int8 = quantize(model)
    photos = np.random.default_rng(0).integers(0, 256, (CALIBRATION_PHOTOS, SIZE, SIZE, 3), dtype=np.uint8)
    calibrate(int8, photos)
    return Bundle(
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
