"""A .tflite made elsewhere as a source."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Originals
from linnet_convert.readers.tflite_graph import plain_ends, read_graph
from linnet_convert.sources.network import NetworkSource
from linnet_convert.writers.from_tflite import write_from_tflite
from linnet_convert.writers.onnx import translate
from linnet_convert.writers.specs import describe_artifact, model_path
from linnet_devices.api import Format, Pixels
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class TfliteSource(NetworkSource):
    """A .tflite; see ``Source``. The other formats are translated from it, tensor by tensor."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("tflite",) if self.facts.requires else FORMATS

    @cached_property
    def network(self) -> keras.Model:
        from linnet_convert.onnx_to_keras.network import onnx_to_keras

        return onnx_to_keras(translate(plain_ends(read_graph(self.path))), "NHWC")

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.path.name}")
        precision = self.facts.precision
        path = model_path(root, "tflite", precision, compiled_for=self.facts.requires.get("delegate"))
        shutil.copyfile(self.path, path)
        ends = (self.signature.input, self.signature.output)
        artifacts = [describe_artifact(root, path, "tflite", precision, ends, requires=self.facts.requires)]
        translated = write_from_tflite(path, precision, root, formats, on_step)
        artifacts += [self.adapted(artifact) for artifact in translated]
        if self.calibration is not None:
            on_step("the network in Keras")
            artifacts += self.write_models({"int8": self.models["int8"]}, root, formats, on_step)
        return tuple(artifacts)

    def originals(self, pixels: Pixels) -> Originals:
        if self.facts.requires:  # only its accelerator reads it
            return Originals()
        own = self.run_file(pixels, "tflite")
        if self.facts.precision == "int8":
            return Originals(int8=own)
        return Originals.of_quantized_here(self.quantized_original(pixels), own)
