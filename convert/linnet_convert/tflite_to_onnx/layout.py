"""Operators that move values, or store them with another quantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import Operator
from linnet_convert.tflite_to_onnx.translation import TO_NCHW, Translation, same_steps


def alias(t: Translation, operator: Operator) -> None:
    """The output is the input: CAST of the pixels, which are taken in as float, RESHAPE and SQUEEZE.

    What reads a RESHAPE's output says in which shape it wants it: a dense layer takes a whole picture.
    """
    source = operator.inputs[0]
    t.values[operator.outputs[0]] = t.value(source) if any(t.values[source].padding) else t.values[source]


def requantize(t: Translation, operator: Operator) -> None:
    """QUANTIZE."""
    source, target = operator.inputs[0], operator.outputs[0]
    if same_steps(t.tensor(source), t.tensor(target)):
        t.values[target] = t.values[source]
    else:
        t.store(target, t.real(source))


def dequantize(t: Translation, operator: Operator) -> None:
    """DEQUANTIZE: what stores integers has its real values already."""
    t.values[operator.outputs[0]] = replace(t.value(operator.inputs[0]), stored=None)


def pad(t: Translation, operator: Operator) -> None:
    """PAD of zeros around a picture, which the next convolution applies."""
    source, target = operator.inputs[0], operator.outputs[0]
    amounts = t.tensor(operator.inputs[1]).data
    if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any():
        raise ConversionError("operator PAD", got="other than zeros around a picture")
    top, left, bottom, right = (int(amount) for amount in amounts[1:3].T.ravel())
    t.values[target] = replace(t.value(source), padding=(top, left, bottom, right))


def concatenate(t: Translation, operator: Operator) -> None:
    """CONCATENATION."""
    rank = len(t.tensor(operator.outputs[0]).shape)
    axis = TO_NCHW.index(operator.options["axis"] % rank + 4 - rank)
    real = t.onnx.node("Concat", *(t.real(index) for index in operator.inputs), axis=axis)
    t.store(operator.outputs[0], t.activated(operator, real))


def crop(t: Translation, operator: Operator) -> None:
    """STRIDED_SLICE of a part of a picture."""
    source, *ranges = operator.inputs
    shape = t.tensor(source).shape
    begin, end, strides = (t.tensor(index).data for index in ranges)
    options = operator.options
    changed_axes = options["ellipsisMask"] or options["newAxisMask"] or options["shrinkAxisMask"]
    if begin is None or end is None or strides is None or (strides != 1).any() or changed_axes or len(shape) != 4:
        raise ConversionError("operator STRIDED_SLICE", got="other than a part of a picture")
    # A bit of a mask means that the range starts at the axis's beginning, or stops at its end.
    starts = [0 if options["beginMask"] >> axis & 1 else int(begin[axis]) for axis in TO_NCHW]
    ends = [shape[axis] if options["endMask"] >> axis & 1 else int(end[axis]) for axis in TO_NCHW]
    bounds = [t.onnx.constant(np.array(bound)) for bound in (starts, ends)]
    t.store(operator.outputs[0], t.onnx.node("Slice", t.real(source), *bounds))
