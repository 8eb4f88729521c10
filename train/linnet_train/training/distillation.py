"""Knowledge distillation: Hinton et al., "Distilling the knowledge in a neural network" (2015)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import ops

from linnet_train.errors import TrainingError
from linnet_train.quantization.check import activation_name
from linnet_train.recipes.recipe import Distillation

_WHAT = "recipe $.distillation.teacher"
_SMALLEST_PROBABILITY = 1e-7
# A model with one of these layers takes pixels 0..255, whatever the type of its input.
_NORMALIZING = (keras.layers.Rescaling, keras.layers.Normalization)


def load_teacher(path: Path, size: int, classes: int | None) -> keras.Model:
    """Loads a teacher from a .keras file. It must take the student's pixels, [N, size, size, 3] of 0..255.

    Args:
        path: the file.
        size: height and width of the student's input in pixels.
        classes: the number of logits that it must give; None if the classes are not known yet.

    Raises:
        TrainingError: the file does not exist, cannot be loaded safely, or has a model with another input or output.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(_WHAT, got=f"{path}: {str(error).splitlines()[0]}", expected="a .keras file") from error
    shape = (None, size, size, 3)
    takes = model.input_shape
    if (
        not isinstance(takes, tuple)
        or len(takes) != 4
        or any(own not in (None, wanted) for own, wanted in zip(takes[1:], shape[1:], strict=True))
    ):
        raise TrainingError(_WHAT, got=f"a model with input {takes}", expected=f"{shape}, the student's pixels")
    if keras.backend.is_float_dtype(model.input.dtype) and not _normalizes(model):
        raise TrainingError(
            _WHAT,
            got="a model with float input and no layer that scales pixels",
            expected="a model that takes pixels of 0..255",
            fix="put the Rescaling that it was trained with before its first layer, and save it again",
        )
    if classes is not None and model.output_shape != (None, classes):
        raise TrainingError(_WHAT, got=f"a model with output {model.output_shape}", expected=f"(None, {classes})")
    return model


def _normalizes(model: keras.Model) -> bool:
    return any(isinstance(layer, _NORMALIZING) for layer in model._flatten_layers(include_self=False))


@keras.saving.register_keras_serializable("linnet")
class DistillationLoss(keras.layers.Layer):
    """Returns the student's logits unchanged, and adds the distillation loss to the model's loss.

    The distillation loss is weight * temperature ** 2 * KL(teacher, student). The square of the temperature keeps the
    gradients as large as those of the labels.
    """

    def __init__(self, teacher: keras.Model, settings: Distillation, **kwargs: Any) -> None:
        """Takes the teacher and the settings.

        Args:
            teacher: a model from pixels [N, H, W, 3] to logits [N, classes], or to probabilities if it ends in a
                softmax. It is neither in the student's model nor in its checkpoints.
            settings: the temperature and the weight.
            kwargs: those of every Keras layer.
        """
        super().__init__(**kwargs, dtype="float32")
        teacher.trainable = False
        self._teacher: Callable[[Any], Any] = lambda pixels: teacher(pixels, training=False)  # hidden from Keras
        self._probabilities = activation_name(teacher.layers[-1]) == "softmax"
        self._temperature, self._weight = settings.temperature, settings.weight

    def call(self, logits: Any, pixels: Any) -> Any:
        taught = ops.cast(self._teacher(pixels), "float32")
        if self._probabilities:  # their logarithms are logits, up to a constant
            taught = ops.log(ops.maximum(taught, _SMALLEST_PROBABILITY))
        targets = ops.log_softmax(ops.stop_gradient(taught) / self._temperature)
        log_p = ops.log_softmax(logits / self._temperature)
        divergence = ops.sum(ops.exp(targets) * (targets - log_p), axis=-1)
        self.add_loss(self._weight * self._temperature**2 * ops.mean(divergence))
        return logits

    def compute_output_shape(self, logits_shape: Any, pixels_shape: Any) -> Any:
        return logits_shape
