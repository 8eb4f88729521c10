"""MobileNetV2: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras

from linnet_train.errors import TrainingError


def mobilenet_v2(inputs: Any, *, alpha: float, weights: str) -> keras.Model:
    """The backbone up to its last feature map, on normalised pixels [N, size, size, 3]; see ``build_model``."""
    imagenet = weights == "imagenet"
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise TrainingError("--weights", got=repr(weights), expected="imagenet, none or a .weights.h5 file")
    try:
        backbone = keras.applications.MobileNetV2(
            input_tensor=inputs, alpha=alpha, include_top=False, weights="imagenet" if imagenet else None
        )
    except Exception as error:  # Keras raises bare ValueError and Exception, for a width and for a failed download
        raise TrainingError(f"mobilenet_v2 alpha {alpha} weights {weights}", got=_first_sentence(error)) from error
    if weights not in ("imagenet", "none"):
        try:
            with warnings.catch_warnings():  # one for each layer that does not fit, before the error that says so
                warnings.simplefilter("ignore", UserWarning)
                backbone.load_weights(weights)
        except (ValueError, OSError, KeyError) as error:
            raise TrainingError(
                weights, got=_first_sentence(error), expected=f"the backbone of MobileNetV2 with alpha {alpha}"
            ) from error
    return backbone


def _first_sentence(error: Exception) -> str:
    return str(error).strip().splitlines()[0].split(". ")[0]
