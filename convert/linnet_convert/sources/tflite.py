"""A .tflite made elsewhere as a source."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnet_convert.readers.tflite_graph import plain_ends, read_graph
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.sources.file import FileSource
from linnet_convert.writers.onnx import to_onnx, translate
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.specs import describe_artifact
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class TfliteSource(FileSource):
    """A .tflite; see ``Source``. The other formats are translated from it, tensor by tensor."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("tflite",) if self.facts.requires else FORMATS

    @cached_property
    def network(self) -> keras.Model:
        from linnet_convert.onnx_to_keras.network import onnx_to_keras

        return onnx_to_keras(translate(plain_ends(read_graph(self.path))), "NHWC")

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.name}")
        tail = "int8_edgetpu" if self.facts.requires else "int8" if self.facts.precision == "int8" else "fp32"
        path = root / f"model.{tail}.tflite"
        shutil.copyfile(self.path, path)
        signature, precision = self.signature, self.facts.precision
        ends = (signature.input, signature.output)
        artifacts = [describe_artifact(root, path, "tflite", precision, ends, requires=self.facts.requires)]
        if formats & {"onnx", "openvino"}:
            on_step("ONNX")
            onnx = to_onnx(path, precision, root)
            artifacts.append(self.adapted(onnx))
        if "openvino" in formats:
            on_step("OpenVINO")
            stored: Precision = "int8" if precision == "int8" else "float16"
            artifacts.append(self.adapted(to_openvino(root / onnx.path, path, stored, root)))
        if self.calibration is not None:
            artifacts += self.write_network({"int8"}, root, formats, on_step)
        return tuple(artifacts)

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        if self.facts.requires:  # nothing but its accelerator reads it
            return {}
        return self.int8_reference(pixels) | self.own_reference(pixels, "tflite")
