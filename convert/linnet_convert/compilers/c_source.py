"""A bundle's model as C++ source: the array, a header with its constants, and an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from linnet_convert.compilers.api import Job
from linnet_convert.errors import ConversionError

HEADER, ARRAY, EXAMPLE = "linnet_model.h", "linnet_model.cc", "classify.cc"
_BYTES_A_LINE: Final = 20

_HEADER_TEXT = """\
// The model {name} and its constants. Written by linnet compile; do not edit.
#ifndef LINNET_MODEL_H_
#define LINNET_MODEL_H_

#include <cstddef>
#include <cstdint>

namespace linnet {{

// The .tflite, with the alignment that TensorFlow Lite requires.
extern const unsigned char kModel[];
constexpr std::size_t kModelBytes = {model_bytes};

// The smallest arena in which the model ran, measured with tflite-micro on x86-64. A microcontroller with other kernels
// (CMSIS-NN) may need more, and a pointer of 4 bytes needs less.
constexpr std::size_t kArenaBytes = {arena_bytes};

// Input: RGB pixels, row by row, 0..255, not normalized. Preprocessing ("{crop}"): {crop_words}.
constexpr int kHeight = {height};
constexpr int kWidth = {width};
constexpr int kChannels = 3;

// Outputs: logit = kScale * (output - kZeroPoint). Probabilities are the softmax of logits / kTemperature.
constexpr int kClasses = {classes};
constexpr float kScale = {scale!r}f;
constexpr int kZeroPoint = {zero_point};
constexpr float kTemperature = {temperature!r}f;
constexpr const char* kLabels[kClasses] = {{
{labels}
}};

}}  // namespace linnet

#endif  // LINNET_MODEL_H_
"""

_EXAMPLE_TEXT = """\
// An example: pixels to the index of a label, with TensorFlow Lite for Microcontrollers. Build it with its sources.
#include "linnet_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{
alignas(16) uint8_t arena[linnet::kArenaBytes];
}}

// Classifies kHeight x kWidth x kChannels pixels: an index into linnet::kLabels, or -1 where the model does not run.
int Classify(const uint8_t* pixels) {{
  tflite::MicroMutableOpResolver<{count}> operators;
{operators}

  tflite::MicroInterpreter interpreter(tflite::GetModel(linnet::kModel), operators, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) return -1;
  TfLiteTensor* input = interpreter.input(0);
  for (size_t i = 0; i < input->bytes; ++i) input->data.uint8[i] = pixels[i];
  if (interpreter.Invoke() != kTfLiteOk) return -1;

  const uint8_t* outputs = interpreter.output(0)->data.uint8;
  int best = 0;
  for (int i = 1; i < linnet::kClasses; ++i) {{
    if (outputs[i] > outputs[best]) best = i;
  }}
  return best;
}}
"""
_CROPS = {
    "centre": "the largest centered part with this aspect, shrunk to this size",
    "stretch": "the whole picture, distorted to this size",
    "pad": "the whole picture with its aspect kept, and a border of 128",
}


def write_sources(job: Job, model: bytes, arena_bytes: int, operators: list[str]) -> tuple[Path, ...]:
    """Writes the header, the array and the example into the folder of a job.

    Raises:
        ConversionError: the input is not uint8 pixels, or the output is not uint8 logits.
    """
    pixels, logits = job.artifact.input, job.artifact.output
    if (pixels.dtype, pixels.layout, pixels.color, pixels.mean) != ("uint8", "NHWC", "rgb", None):
        raise ConversionError(job.what, got=f"{pixels.dtype} {pixels.layout} input", expected="uint8 RGB pixels, NHWC")
    if logits.dtype != "uint8" or logits.scale is None or logits.zero_point is None or logits.values != "logits":
        raise ConversionError(job.what, got=f"{logits.dtype} {logits.values}", expected="uint8 logits")
    size = job.bundle.preprocess
    header = _HEADER_TEXT.format(
        name=_comment(job.bundle.name),
        model_bytes=len(model),
        arena_bytes=arena_bytes,
        crop=size.crop,
        crop_words=_CROPS[size.crop],
        height=size.height,
        width=size.width,
        classes=len(job.bundle.labels),
        scale=logits.scale,
        zero_point=logits.zero_point,
        temperature=job.bundle.temperature,
        labels="\n".join(f"    {_string(label)}," for label in job.bundle.labels),
    )
    example = _EXAMPLE_TEXT.format(
        count=len(operators), operators="\n".join(f"  operators.{_adder(name)}();" for name in operators)
    )
    texts = {HEADER: header, ARRAY: _array(model), EXAMPLE: example}
    for name, text in texts.items():
        (job.folder / name).write_text(text, encoding="utf-8")
    return tuple(job.folder / name for name in texts)


def _array(model: bytes) -> str:
    rows = (model[start : start + _BYTES_A_LINE] for start in range(0, len(model), _BYTES_A_LINE))
    data = "\n".join(f"    {','.join(map(str, row))}," for row in rows)
    return (
        f'#include "{HEADER}"\n\nnamespace linnet {{\n'
        f"alignas(16) extern const unsigned char kModel[kModelBytes] = {{\n{data}\n}};\n}}  // namespace linnet\n"
    )


def _string(label: str) -> str:
    """A C++ string literal. An octal escape ends after three digits, whatever follows it."""
    escaped = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in label.encode()
    )
    return f'"{"".join(escaped)}"'


def _comment(text: str) -> str:
    """Text that cannot end the line of a comment."""
    return json.dumps(text)


def _adder(operator: str) -> str:
    """The method of MicroMutableOpResolver that adds an operator: ``DEPTHWISE_CONV_2D`` is ``AddDepthwiseConv2D``."""
    return "Add" + "".join(part.capitalize() if part.isalpha() else part.title() for part in operator.split("_"))
