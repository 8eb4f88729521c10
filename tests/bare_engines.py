"""What a model file computes on its own engine, without anything of Linnet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray


def lite(path: Path, pictures: NDArray[Any]) -> NDArray[Any]:
    """The outputs [N, classes] of a .tflite for pictures [N, H, W, 3]; open dimensions are closed by resizing."""
    interpreter = Interpreter(str(path))
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], (1, *pictures.shape[1:]))
    interpreter.allocate_tensors()
    rows = []
    for picture in pictures:
        interpreter.set_tensor(given["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(wanted["index"]))
    return np.concatenate(rows)


def runtime(path: Path, pictures: NDArray[Any], layout: str = "NCHW") -> NDArray[Any]:
    """The outputs [N, classes] of an .onnx for pictures [N, H, W, 3]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    axes = (0, 3, 1, 2) if layout == "NCHW" else (0, 1, 2, 3)
    return np.concatenate([session.run(None, {given.name: picture[None].transpose(axes)})[0] for picture in pictures])
