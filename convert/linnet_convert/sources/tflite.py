"""A .tflite made elsewhere as a source."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Originals
from linnet_convert.readers.tflite_closing import close
from linnet_convert.readers.tflite_graph import plain_ends
from linnet_convert.sources.network import NetworkSource
from linnet_convert.tflite_to_onnx.constants import read_folded
from linnet_convert.writers.artifacts import describe_artifact, model_path
from linnet_convert.writers.from_tflite import write_from_tflite
from linnet_convert.writers.onnx import translate
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class TfliteSource(NetworkSource):
    """See ``Source``. The other formats are translated from the .tflite, tensor by tensor."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("tflite",) if self.facts.requires or self.facts.int16 else FORMATS

    @property
    def copied(self) -> tuple[Format, Precision] | None:
        return None if self._closed is not None else super().copied

    @cached_property
    def _closed(self) -> bytes | None:
        """The file with its open dimensions closed; None where it has none."""
        return None if self.facts.requires else close(self.path, self.signature.input.shape)

    def _copy(self, root: Path) -> Path:
        path = model_path(root, "tflite", self.facts.precision, compiled_for=self.facts.requires.get("delegate"))
        if self._closed is None:
            shutil.copyfile(self.path, path)
        else:
            path.write_bytes(self._closed)
        return path

    @cached_property
    def network(self) -> keras.Model:
        from linnet_convert.onnx_to_keras.network import onnx_to_keras

        with tempfile.TemporaryDirectory() as folder:
            graph = read_folded(self._copy(Path(folder)))
        return onnx_to_keras(translate(plain_ends(graph)), "NHWC")

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.path.name}")
        precision = self.facts.precision
        path = self._copy(root)
        ends = (self.signature.input, self.signature.output)
        artifacts = [describe_artifact(root, path, "tflite", precision, ends, requires=self.facts.requires)]
        # The interpreter computes half-precision weights in float32, and so do the translations.
        written: Precision = "int8" if precision == "int8" else "float32"
        translated = write_from_tflite(path, written, root, formats, on_step)
        artifacts += [self.adapted(artifact) for artifact in translated]
        if self.calibration is not None:
            on_step("the network in Keras")
            artifacts += self.write_models({"int8": self.models["int8"]}, root, formats, on_step)
        return tuple(artifacts)

    def originals(self, pixels: Pixels) -> Originals:
        if self.facts.requires:  # only its accelerator reads it
            return Originals()
        own = self.run_file(pixels, "tflite", self._copy)
        if self.facts.precision == "int8":
            return Originals(int8=own)
        return Originals.of_quantized_here(self.quantized_original(pixels), own)
