"""The networks by name. Each takes uint8 RGB pixels [N, size, size, 3] and gives logits [N, classes]."""

from __future__ import annotations

import difflib

import keras

from linnet_train.errors import TrainingError
from linnet_train.models.mobilenet_v2 import mobilenet_v2

BUILDERS = {"mobilenet_v2": mobilenet_v2}

NETWORK = "network"  # the name of the layer that is the network in a model that also augments
SCALE, OFFSET = 1 / 128, -1.0  # pixels to -1 .. 127/128: exact in eight bits
# keras.applications' 0.999 needs tens of thousands of steps to forget where it started; small data has hundreds.
_BATCH_NORM_MOMENTUM = 0.9


def build_model(name: str, *, classes: int, size: int, alpha: float, weights: str, dropout: float) -> keras.Model:
    """A network of the registry with a new head.

    Args:
        name: a key of ``BUILDERS``.
        classes: outputs of the head.
        size: height and width in pixels.
        alpha: the width multiplier.
        weights: "imagenet" (a download), a ``.weights.h5`` file of the backbone, or "none".
        dropout: the share of features that the head does not see in a training step.

    Raises:
        TrainingError: an unknown name, a size or width that the network cannot take, or weights that do not fit.
    """
    if name not in BUILDERS:
        nearest = difflib.get_close_matches(name, BUILDERS, n=1)
        raise TrainingError(
            "--model",
            got=repr(name),
            expected="one of " + ", ".join(BUILDERS),
            fix=f"--model {nearest[0]}" if nearest else None,
        )
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    normalised = keras.layers.Rescaling(SCALE, OFFSET, name="normalise")(pixels)
    backbone = BUILDERS[name](normalised, alpha=alpha, weights=weights)
    features = keras.layers.GlobalAveragePooling2D(name="pool")(backbone.output)
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    logits = keras.layers.Dense(classes, name="logits")(features)
    model = keras.Model(pixels, logits, name=NETWORK)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _BATCH_NORM_MOMENTUM
    return model


def head_layers(model: keras.Model) -> tuple[str, ...]:
    """The names of the layers with weights that ``build_model`` put behind the backbone."""
    return ("logits",)
