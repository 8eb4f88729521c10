"""The networks by name. Each takes RGB pixels uint8 [N, size, size, 3] and gives logits float32 [N, classes].
Internal.
"""

from __future__ import annotations

import keras

from linnet_devices.errors import Setting
from linnet_train.errors import TrainingError
from linnet_train.models.normalization import OFFSET, SCALE
from linnet_train.models.registry import NETWORKS, Network, network_named
from linnet_train.models.weights import load_weights

__all__ = ["NETWORK", "NETWORKS", "OFFSET", "SCALE", "Network", "build_model", "head_layers", "network_named"]

NETWORK = "network"  # the name of the network, and of its layer in a model with augmentation
_CLASSIFIER = "logits"
_ENDS_FEATURES = ("pool", "flatten")  # every network has one of these layers behind its last feature map
# keras.applications uses 0.999, which takes tens of thousands of steps to forget the initial statistics. Training on
# few photos has hundreds.
_BATCH_NORM_MOMENTUM = 0.9


def build_model(
    name: str,
    *,
    classes: int,
    size: int | None = None,
    alpha: float | None = None,
    weights: str = "none",
    dropout: float = 0.0,
) -> keras.Model:
    """A network of the registry with a new classifier.

    Args:
        name: a key of ``NETWORKS``.
        classes: the number of outputs of the classifier.
        size: height and width of the input in pixels; None: the network's default.
        alpha: the width multiplier; None: the network's default.
        weights: "imagenet" (a download), a .weights.h5, .keras or .safetensors file, or "none"; see ``load_weights``.
        dropout: the share of features that the classifier does not see in a training step.

    Raises:
        TrainingError: an unknown name, a size or width that the network does not have, or weights that do not fit.
    """
    network = network_named(name)
    size = network.size if size is None else size
    if size < network.smallest:
        raise TrainingError(Setting("size"), got=size, expected=f"at least {network.smallest} for {name}")
    if network.alpha is None and alpha is not None:
        raise TrainingError(Setting("alpha"), got=f"{alpha:g}", expected=f"none: {name} has one width")
    alpha = network.alpha if alpha is None else alpha
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    normalized = keras.layers.Rescaling(SCALE, OFFSET, name="normalise")(pixels)
    features = network.build(normalized) if alpha is None else network.build(normalized, alpha=alpha)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    model = keras.Model(pixels, keras.layers.Dense(classes, name=_CLASSIFIER)(features), name=NETWORK)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _BATCH_NORM_MOMENTUM
    if weights != "none":
        load_weights(model, name, network, weights, alpha, head_layers(model))
    return model


def head_layers(model: keras.Model) -> tuple[str, ...]:
    """The names of the layers with weights behind a model's last feature map; the last one is the classifier."""
    names = [layer.name for layer in model.layers]
    end = min(names.index(name) for name in _ENDS_FEATURES if name in names)
    return tuple(layer.name for layer in model.layers[end:] if layer.weights)
