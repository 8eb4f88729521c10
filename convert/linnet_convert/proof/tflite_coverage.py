"""How well the ranges of an int8 .tflite fit where there is no Keras model: by the tensors of the float
.tflite that the same converter made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_convert.proof.coverage import PHOTOS, Coverage
from linnet_convert.readers.tflite_graph import Tensor, keeping_interpreter, read_graph


def measure_tflite_coverage(int8: Path, floats: Path, inputs: NDArray[np.float32]) -> tuple[Coverage, ...]:
    """The coverage of every computed tensor that has the same name in both files, and one range in the int8 file.

    Args:
        int8: the quantized .tflite.
        floats: the float one.
        inputs: photos as the float .tflite takes them, float32 [N, ...]; the first 64 are used.
    """
    ranges = {tensor.name: tensor for tensor in read_graph(int8).tensors if _has_range(tensor)}
    interpreter = keeping_interpreter(floats)
    places = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    given = interpreter.get_input_details()[0]["index"]
    seen: dict[str, list[tuple[float, float, int, int]]] = {name: [] for name in ranges if name in places}
    for row in inputs[:PHOTOS]:
        interpreter.set_tensor(given, row[None])
        interpreter.invoke()
        for name, rows in seen.items():
            values = interpreter.get_tensor(places[name])
            low, high = _range(ranges[name])
            half = (high - low) / 510  # half a step: what rounds to the last step is not clipped
            outside = np.count_nonzero((values < low - half) | (values > high + half))
            rows.append((float(values.min()), float(values.max()), int(outside), values.size))
    return tuple(Coverage.of(name.split(";")[0], *_range(ranges[name]), rows) for name, rows in seen.items() if rows)


def _has_range(tensor: Tensor) -> bool:
    return tensor.data is None and tensor.quantization is not None and tensor.dtype == np.int8


def _range(tensor: Tensor) -> tuple[float, float]:
    quantization: Any = tensor.quantization
    low, high = (float((end - quantization.zero_point[0]) * quantization.scale[0]) for end in (-128, 127))
    return low, high
