"""A SavedModel made elsewhere as a source: TensorFlow's converter makes the .tflite, calibrated on photos for int8, and
the other formats are translated from that.
"""

from __future__ import annotations

import tempfile
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.coverage import PHOTOS, Coverage
from linnet_convert.proof.parity import Original, Originals, artifact_logits
from linnet_convert.proof.tflite_coverage import measure_tflite_coverage
from linnet_convert.readers.saved_model import signature_of
from linnet_convert.readers.tflite_graph import read_graph
from linnet_convert.sources.file import FileSource
from linnet_convert.writers.artifacts import linnet_artifact, model_path
from linnet_convert.writers.from_tflite import write_from_tflite
from linnet_devices.api import Format, Pixels, Precision
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import Artifact


class SavedModelSource(FileSource):
    """See ``Source``."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return FORMATS

    @cached_property
    def _loaded(self) -> Any:
        with no_chatter():
            return tf.saved_model.load(self.path)

    @cached_property
    def _function(self) -> tuple[Any, str, str]:
        return signature_of(self.path, self._loaded)

    @cached_property
    def _converted(self) -> dict[Precision, bytes]:
        """The .tflite of each precision: int8 where there are photos to calibrate on."""
        precisions: tuple[Precision, ...] = ("float32",) if self.calibration is None else ("int8", "float32")
        with warnings.catch_warnings(), no_chatter():
            warnings.filterwarnings("ignore", "Statistics for quantized inputs")
            try:
                return {precision: self._convert(precision) for precision in precisions}
            except Exception as error:  # the converter raises an unexported class
                raise ConversionError(f"{self.path} by TensorFlow's converter", got=str(error)) from error

    def _convert(self, precision: Precision) -> bytes:
        spec = tf.TensorSpec(self.signature.input.shape, tf.float32, name="normalised")
        function = tf.function(lambda normalised: {"logits": self._call(normalised)}, input_signature=[spec])
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], self._loaded)
        if precision == "int8" and self.calibration is not None:
            photos = self._inputs(self.calibration.pixels)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.uint8
        return bytes(converter.convert())

    def _call(self, normalized: Any) -> Any:
        function, given, wanted = self._function
        dtype = function.structured_input_signature[1][given].dtype
        return function(**{given: tf.cast(normalized, dtype)})[wanted]

    def _inputs(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 RGB [N, H, W, 3] as the SavedModel's float input, in its layout."""
        normalized = self.normalized(pixels)
        return normalized if self.signature.input.layout == "NHWC" else normalized.transpose(0, 3, 1, 2)

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step("TensorFlow Lite")
        artifacts: list[Artifact] = []
        for precision in self._converted:
            tflite = self._write_tflite(precision, root)
            artifacts.append(tflite)
            translated = write_from_tflite(root / tflite.path, precision, root, formats, on_step)
            artifacts += [self._normalizing(artifact) for artifact in translated]
        return tuple(artifacts)

    def _write_tflite(self, precision: Precision, root: Path) -> Artifact:
        path = model_path(root, "tflite", precision)
        path.write_bytes(self._converted[precision])
        graph = read_graph(path)
        names = (graph.tensors[graph.inputs[0]].name, graph.tensors[graph.outputs[0]].name)
        artifact = self._normalizing(linnet_artifact(root, path, "tflite", precision, graph, names=names))
        given = msgspec.structs.replace(artifact.input, layout=self.signature.input.layout)
        return msgspec.structs.replace(artifact, input=given)

    def _normalizing(self, artifact: Artifact) -> Artifact:
        """``adapted``, always with a mean and a standard deviation: the calibrated steps of an int8 input are not the
        pixels.
        """
        mean, std = self.signature.normalization
        adapted = self.adapted(artifact)
        return msgspec.structs.replace(adapted, input=msgspec.structs.replace(adapted.input, mean=mean, std=std))

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``: TensorFlow's converter chose the ranges."""
        if "int8" not in self._converted:
            return ()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            int8, floats = (root / self._write_tflite(precision, root).path for precision in ("int8", "float32"))
            return measure_tflite_coverage(int8, floats, self._inputs(pixels[:PHOTOS]))

    def originals(self, pixels: Pixels) -> Originals:
        """The SavedModel itself; for int8, whose ranges the converter chose, the .tflite that it made."""
        rows = [np.asarray(self._call(photo[None]), np.float32).reshape(1, -1) for photo in self._inputs(pixels)]
        floats = Original(self.path.name, self.as_logits(np.concatenate(rows)))
        if "int8" not in self._converted:
            return Originals(float32=floats)
        with tempfile.TemporaryDirectory() as folder:
            logits = artifact_logits(self._write_tflite("int8", Path(folder)), Path(folder), pixels)
        return Originals.of_quantized_here(Original("the converter's .tflite", logits), floats)
