"""Prints the SHA-256 of a quantised model's output for pictures of integer noise: a line for each model.

    python tests/arm64/logits.py MODEL.tflite...

The conformance suite's int8 model comes first. Needs LiteRT or tflite-runtime and Linnet's devices, no pytest.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

import numpy as np

from linnet_devices.litert import Interpreter
from linnet_devices.testing.samples import load_models

PICTURES = 8


def main() -> None:
    own = next(model.path for model in load_models() if model.path.endswith("int8.tflite"))
    for path in (own, *sys.argv[1:]):
        print(Path(path).name, digest(path), flush=True)
    print(f"{platform.machine()}, NumPy {np.__version__}", file=sys.stderr)


def digest(path: str) -> str:
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    pixels, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = hashlib.sha256()
    # A Generator's numbers may change with NumPy's version; RandomState's never do.
    for picture in np.random.RandomState(0).randint(0, 256, (PICTURES, *pixels["shape"]), dtype=np.uint8):
        interpreter.set_tensor(pixels["index"], picture)
        interpreter.invoke()
        found.update(interpreter.get_tensor(output["index"]).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
