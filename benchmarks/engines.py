"""The CPU engines side by side on the int8 artifacts of one network, and their ratio to LiteRT.

    python benchmarks/engines.py
    python benchmarks/engines.py BUNDLE

Without a bundle: MobileNetV2-0.35 at 160 px, MobileNetV4-conv-small and EfficientNet-Lite0 at 224 px with untrained
weights (they do not change the time). Pixels that are already preprocessed in, logits out, one picture at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from common import ENGINES, Row, arguments, median_ratio, report, time_side_by_side

from linnet_devices import Model, OpenOptions, Session, load_device
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import open_bundle
from linnet_runtime.sessions import open_session

UNTRAINED = {"mobilenet_v2": 160, "mobilenet_v4_conv_small": 224, "efficientnet_lite0": 224}
CLASSES = 1000


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1, help="of each engine")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each")
    parser.add_argument("--repeats", type=int, default=50, help="calls in a turn")
    args = parser.parse_args()
    options = OpenOptions(threads=args.threads)
    tables: dict[str, list[Row]] = {}
    with contextlib.ExitStack() as stack:
        if args.bundle is not None:
            manifest = open_bundle(args.bundle)
            sessions = {
                e: stack.enter_context(open_session(manifest, e, precision="int8", options=options)) for e in ENGINES
            }
            size = (manifest.preprocess.height, manifest.preprocess.width)
            title = f"{manifest.name}, {size[0]}x{size[1]}"
            tables[title] = compare(sessions, size, args.rounds, args.repeats)
        else:
            for name, side in UNTRAINED.items():
                root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                with no_chatter():
                    models = untrained(name, side, root)
                sessions = {e: stack.enter_context(load_device(e).open(model, options)) for e, model in models.items()}
                tables[f"{name}, {side}x{side}"] = compare(sessions, (side, side), args.rounds, args.repeats)
    report({f"{title}, int8, threads: {args.threads}": rows for title, rows in tables.items()}, args.out)


def untrained(name: str, size: int, root: Path) -> dict[str, Model]:
    """A network's int8 models by engine, calibrated on noise."""
    from linnet_convert.writers.onnx import to_onnx
    from linnet_convert.writers.openvino import to_openvino
    from linnet_convert.writers.tflite import to_tflite
    from linnet_train.models import build_model
    from linnet_train.quantization import calibrate, quantize

    float_model = build_model(name, classes=CLASSES, size=size)
    pixels = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    for layer in float_model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    float_model(pixels, training=True)  # without batch statistics an untrained network's values fade to nothing
    model = quantize(float_model)
    calibrate(model, pixels)
    tflite = to_tflite(model, "int8", pixels, root)
    onnx = to_onnx(root / tflite.path, "int8", root)
    openvino = to_openvino(root / onnx.path, root / tflite.path, "int8", root)
    return {engine: artifact.model(root) for engine, artifact in zip(ENGINES, (tflite, onnx, openvino), strict=True)}


def compare(sessions: Mapping[str, Session], size: tuple[int, int], rounds: int, repeats: int) -> list[Row]:
    pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    times = time_side_by_side({name: partial(s.run, pixels) for name, s in sessions.items()}, rounds, repeats)
    litert = times[ENGINES[0]]
    return [
        {
            "engine": name,
            "artifact": Path(session.model.path).name,
            "ms": median(times[name]),
            "times LiteRT's": median_ratio(times[name], litert),
        }
        for name, session in sessions.items()
    ]


if __name__ == "__main__":
    main()
