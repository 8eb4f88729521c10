"""An .onnx made elsewhere as a source."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Originals
from linnet_convert.readers.onnx import close, load
from linnet_convert.sources.network import NetworkSource
from linnet_convert.writers.artifacts import describe_artifact, model_path
from linnet_convert.writers.openvino import STORED_IN_IR, write_ir
from linnet_devices.api import Format, Pixels
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class OnnxSource(NetworkSource):
    """See ``Source``. OpenVINO reads the .onnx itself."""

    @property
    def formats(self) -> tuple[Format, ...]:
        if self.facts.dynamic_range:
            return ("onnx",)
        return ("onnx", "openvino") if self.facts.precision == "int8" else FORMATS

    @cached_property
    def network(self) -> keras.Model:
        from linnet_convert.onnx_to_keras.network import onnx_to_keras

        return onnx_to_keras(self._loaded(), self.signature.input.layout)

    def _loaded(self) -> onnx.ModelProto:
        return close(load(self.path), self.signature.input.shape)

    def _copy(self, root: Path) -> Path:
        path = model_path(root, "onnx", self.facts.precision)
        onnx.save(self._loaded(), path)
        return path

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.path.name}")
        path = self._copy(root)
        ends = (self.signature.input, self.signature.output)
        artifacts = [describe_artifact(root, path, "onnx", self.facts.precision, ends, requires=self.facts.requires)]
        if "openvino" in formats:
            on_step("OpenVINO")
            artifacts.append(self._write_ir(path, root))
        if "tflite" in formats:
            on_step("the network in Keras")
            artifacts += self.write_models({"float32": self.models["float32"]}, root, {"tflite"}, on_step)
        if self.calibration is not None:
            on_step("the network in Keras")
            artifacts += self.write_models({"int8": self.models["int8"]}, root, formats, on_step)
        return tuple(artifacts)

    def _write_ir(self, path: Path, root: Path) -> Artifact:
        stored = STORED_IN_IR[self.facts.precision]
        xml = model_path(root, "openvino", stored)
        write_ir(path, xml, half=stored == "float16")
        ends = (self.signature.input, self.signature.output)
        return describe_artifact(root, xml, "openvino", stored, ends, weights=xml.with_suffix(".bin"))

    def originals(self, pixels: Pixels) -> Originals:
        own = self.run_file(pixels, "onnx", self._copy)
        if self.facts.precision == "int8":
            return Originals(int8=own)
        return Originals.of_quantized_here(self.quantized_original(pixels), own)
