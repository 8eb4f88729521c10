"""An .onnx made elsewhere as a source."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from linnet_convert.readers.onnx import load
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.sources.file import FileSource
from linnet_convert.writers.openvino import write_ir
from linnet_convert.writers.specs import describe_artifact
from linnet_devices.api import Format, Logits, Pixels
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class OnnxSource(FileSource):
    """An .onnx; see ``Source``. OpenVINO reads it itself."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("onnx", "openvino") if self.facts.precision == "int8" else FORMATS

    @cached_property
    def network(self) -> keras.Model:
        from linnet_convert.onnx_to_keras.network import onnx_to_keras

        return onnx_to_keras(self._loaded(), self.signature.input.layout)

    def _loaded(self) -> onnx.ModelProto:
        size = self.signature.preprocess
        return load(self.path, (size.height, size.width))

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.name}")
        int8 = self.facts.precision == "int8"
        path = root / f"model.{'int8' if int8 else 'fp32'}.onnx"
        onnx.save(self._loaded(), path)
        signature = self.signature
        ends = (signature.input, signature.output)
        artifacts = [describe_artifact(root, path, "onnx", self.facts.precision, ends, requires=self.facts.requires)]
        if "openvino" in formats:
            on_step("OpenVINO")
            artifacts.append(self._to_openvino(path, root))
        if "tflite" in formats:
            artifacts += self.write_network({"float32"}, root, {"tflite"}, on_step)
        if self.calibration is not None:
            artifacts += self.write_network({"int8"}, root, formats, on_step)
        return tuple(artifacts)

    def _to_openvino(self, path: Path, root: Path) -> Artifact:
        int8 = self.facts.precision == "int8"
        xml = root / "openvino" / ("int8.xml" if int8 else "fp16.xml")
        write_ir(path, xml, half=not int8)
        return describe_artifact(
            root,
            xml,
            "openvino",
            "int8" if int8 else "float16",
            (self.signature.input, self.signature.output),
            weights=xml.with_suffix(".bin"),
        )

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        return self.int8_reference(pixels) | self.own_reference(pixels, "onnx")
