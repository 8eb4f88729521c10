"""Finds the smallest arena in which TensorFlow Lite for Microcontrollers loads and runs a model.

``python tflm_arena.py MODEL MOST_BYTES`` prints as its last line ``{"arena_bytes": ..., "operators": {...}}``. Each try
runs in a forked process, because in an arena that is much too small the interpreter may end its process.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from tflite_micro.python.tflite_micro import runtime

_STEP = 1024  # bytes


def runs(model: bytes, arena_bytes: int) -> bool:
    """Whether the model is loaded and run in an arena of that size."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
            pixels = interpreter.get_input_details(0)
            interpreter.set_input(np.zeros(pixels["shape"], pixels["dtype"]), 0)
            interpreter.invoke()
            interpreter.get_output(0)
            status = 0
        finally:
            os._exit(status)  # neither the parent's cleanup nor its output
    return os.waitpid(child, 0)[1] == 0


def smallest_arena(model: bytes, most_bytes: int) -> int:
    """The smallest arena in steps of 1 KiB. Ends the program where the model does not run in the largest."""
    low, high = 0, most_bytes // _STEP  # in steps; low is too small
    if not runs(model, high * _STEP):
        sys.exit(f"error: the model does not run in an arena of {most_bytes} bytes")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(model, middle * _STEP) else (middle, high)
    return high * _STEP


def operators(model: bytes) -> dict[str, int]:
    """The names of the model's operators, and how many there are of each."""
    names = {code: name for name, code in vars(runtime.schema_fb.BuiltinOperator).items() if not name.startswith("_")}
    content = runtime.convert_bytearray_to_object(model)
    kinds = [runtime.get_builtin_code_from_operator_code(code) for code in content.operatorCodes]
    return dict(Counter(names[kinds[operator.opcodeIndex]] for operator in content.subgraphs[0].operators))


def main() -> None:
    """Prints the result."""
    model, most_bytes = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
    result = {"operators": operators(model), "arena_bytes": smallest_arena(model, most_bytes)}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
