"""A Keras model to .tflite."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import tensorflow as tf

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import read_graph
from linnet_convert.writers.artifacts import linnet_artifact, model_path
from linnet_devices.api import Pixels, Precision
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import Artifact
from linnet_train.quantization import FakeQuantize

_REPRESENTATIVE_PHOTOS = 8


def to_tflite(model: keras.Model, precision: Precision, photos: Pixels, root: Path) -> Artifact:
    """Writes ``model.PRECISION.tflite`` into a bundle's directory, with uint8 RGB pixels [1, H, W, 3] as its input.

    Args:
        model: in float for "float32", fake-quantized (``linnet_train.quantization``) for "int8"; its first layer
            normalizes uint8 pixels.
        precision: "int8" or "float32".
        photos: uint8 [N, H, W, 3], which TensorFlow's converter requires for int8. Every range comes from the model; a
            test shows that the photos change none.
        root: the bundle's directory.

    Raises:
        ConversionError: the converter fails, in its own words.
    """
    path = model_path(root, "tflite", precision)
    with warnings.catch_warnings(), no_chatter():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # the model has its ranges
        try:
            data = _convert_int8(model, photos) if precision == "int8" else _converter(model, tf.uint8).convert()
        except Exception as error:  # the converter raises an unexported class
            raise ConversionError(f"{path.name} by TensorFlow's converter", got=str(error)) from error
    path.write_bytes(data)
    graph = read_graph(path)
    names = (graph.tensors[graph.inputs[0]].name, graph.tensors[graph.outputs[0]].name)
    return linnet_artifact(root, path, "tflite", precision, graph, names=names)


def _convert_int8(model: keras.Model, photos: Pixels) -> bytes:
    # The pixel is the quantized value, so the graph begins behind the normalization, where the input's range is.
    pixels_range = next(layer for layer in model.layers if isinstance(layer, FakeQuantize))
    normalize = keras.Model(model.input, pixels_range.input)
    converter = _converter(keras.Model(pixels_range.input, model.output), tf.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    representative = normalize.predict(photos[:_REPRESENTATIVE_PHOTOS], verbose=0)
    converter.representative_dataset = lambda: ([photo[None]] for photo in representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return converter.convert()


def _converter(model: keras.Model, dtype: tf.DType) -> tf.lite.TFLiteConverter:
    """A converter with batch 1: ``model.export`` leaves the batch open even where the model fixes it."""
    signature = tf.TensorSpec((1, *model.input_shape[1:]), dtype, name="pixels")
    function = tf.function(lambda pixels: {"logits": model(pixels, training=False)}, input_signature=[signature])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    converter.experimental_lower_to_saved_model = False  # which takes five times as long
    return converter
