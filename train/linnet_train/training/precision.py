"""Mixed precision: the copy of a model that a phase trains, and the plain float32 copy that is saved.

The weights stay float32 while layers compute in 16 bits: Micikevicius et al., "Mixed precision training" (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from linnet_train.recipes.recipe import Precision
from linnet_train.training.batch_norm import FusedBatchNormalization


def for_training(model: keras.Model, precision: Precision = "float32") -> keras.Model:
    """A copy of a Functional model whose layers compute in ``precision``. The weights and the output are float32.

    On TensorFlow its batch normalizations are fused; see ``batch_norm``.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    kind = FusedBatchNormalization if on_tensorflow else keras.layers.BatchNormalization
    # A softmax of 16-bit logits cannot tell likely classes apart.
    last = model.outputs[0]._keras_history.operation
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    return _copy(model, kind, lambda layer: "float32" if layer is last else policy)


def for_disk(model: keras.Model) -> keras.Model:
    """A float32 copy with Keras's own layers, so that Keras can load the file without Linnet, on any backend."""
    return _copy(model, keras.layers.BatchNormalization, lambda layer: "float32")


def scale_losses(optimizer: Any, network: keras.Model) -> Any:
    """The optimizer, with loss scaling if the network computes in float16, which would lose small gradients.

    bfloat16 has the exponents of float32 and needs no scaling.
    """
    computes_in_float16 = any(layer.compute_dtype == "float16" for layer in network.layers)
    return keras.optimizers.LossScaleOptimizer(optimizer) if computes_in_float16 else optimizer


def _copy(model: keras.Model, batch_norm: Any, policy_of: Callable[[Any], str]) -> keras.Model:
    def clone(layer: Any) -> Any:
        kind = batch_norm if isinstance(layer, keras.layers.BatchNormalization) else type(layer)
        copy = kind.from_config({**layer.get_config(), "dtype": policy_of(layer)})
        copy.trainable = layer.trainable
        return copy

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
