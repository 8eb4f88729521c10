"""A SavedModel made elsewhere as a source: TensorFlow's converter makes the .tflite, calibrated on photos for int8, and
the other formats are translated from that.
"""

from __future__ import annotations

import tempfile
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_convert.proof.coverage import PHOTOS, Coverage
from linnet_convert.proof.parity import artifact_logits
from linnet_convert.proof.tflite_coverage import measure_tflite_coverage
from linnet_convert.readers.saved_model import signature_of
from linnet_convert.readers.tflite_graph import read_graph
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.sources.file import FileSource, as_logits
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.specs import linnet_artifact
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import Artifact


class SavedModelSource(FileSource):
    """A SavedModel; see ``Source``."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return FORMATS

    @property
    def models(self) -> dict[Precision, keras.Model]:
        return {}

    @property
    def network(self) -> keras.Model:
        raise ConversionError(str(self.path), got="a SavedModel", expected="layers of Keras, which it has not")

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
            except Exception as error:  # the converter raises a class of its own that TensorFlow does not export
                raise ConversionError(f"{self.path} by TensorFlow's converter", got=str(error)) from error

    def _convert(self, precision: Precision) -> bytes:
        spec = tf.TensorSpec(self.signature.input.shape, tf.float32, name="normalised")
        function = tf.function(lambda normalised: {"logits": self._call(normalised)}, input_signature=[spec])
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], self._loaded)
        if precision == "int8" and self.calibration is not None:
            photos = self._turned(self.calibration.pixels)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.uint8
        return bytes(converter.convert())

    def _call(self, normalised: Any) -> Any:
        function, given, wanted = self._function
        dtype = function.structured_input_signature[1][given].dtype
        return function(**{given: tf.cast(normalised, dtype)})[wanted]

    def _turned(self, pixels: Pixels) -> NDArray[np.float32]:
        normalised = self.normalised(pixels)
        return normalised if self.signature.input.layout == "NHWC" else normalised.transpose(0, 3, 1, 2)

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step("TensorFlow Lite")
        artifacts: list[Artifact] = []
        for precision, data in self._converted.items():
            tflite = self._write_tflite(root, precision, data)
            path = root / tflite.path
            artifacts.append(tflite)
            if formats & {"onnx", "openvino"}:
                on_step(f"ONNX, {precision}")
                onnx = to_onnx(path, precision, root)
                artifacts.append(self._meant(onnx))
            if "openvino" in formats:
                on_step(f"OpenVINO, {precision}")
                stored: Precision = "int8" if precision == "int8" else "float16"
                artifacts.append(self._meant(to_openvino(root / onnx.path, path, stored, root)))
        return tuple(artifacts)

    def _write_tflite(self, root: Path, precision: Precision, data: bytes) -> Artifact:
        path = root / f"model.{'int8' if precision == 'int8' else 'fp32'}.tflite"
        path.write_bytes(data)
        graph = read_graph(path)
        names = (graph.tensors[graph.inputs[0]].name, graph.tensors[graph.outputs[0]].name)
        artifact = self._meant(linnet_artifact(root, path, "tflite", precision, graph, names=names))
        given = msgspec.structs.replace(artifact.input, layout=self.signature.input.layout)
        return msgspec.structs.replace(artifact, input=given)

    def _meant(self, artifact: Artifact) -> Artifact:
        """``adapted``, with the normalisation even where that is none: the calibrated steps of an int8 input are not
        the pixels.
        """
        mean, std = self.signature.normalisation
        adapted = self.adapted(artifact)
        return msgspec.structs.replace(adapted, input=msgspec.structs.replace(adapted.input, mean=mean, std=std))

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``: of the ranges that TensorFlow's converter chose."""
        if "int8" not in self._converted:
            return ()
        with tempfile.TemporaryDirectory() as folder:
            int8, floats = (
                Path(folder) / self._write_tflite(Path(folder), precision, self._converted[precision]).path
                for precision in ("int8", "float32")
            )
            return measure_tflite_coverage(int8, floats, self._turned(pixels[:PHOTOS]))

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """The SavedModel itself; for int8, whose ranges the converter chose, the .tflite that it made."""
        rows = [np.asarray(self._call(photo[None]), np.float32).reshape(1, -1) for photo in self._turned(pixels)]
        found = {"float": (self.name, as_logits(np.concatenate(rows), softmax=self.facts.softmax))}
        if "int8" in self._converted:
            with tempfile.TemporaryDirectory() as folder:
                artifact = self._write_tflite(Path(folder), "int8", self._converted["int8"])
                found["int8"] = ("the converter's .tflite", artifact_logits(artifact, Path(folder), pixels))
        return found
