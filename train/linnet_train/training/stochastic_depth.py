"""Stochastic depth: Huang et al., "Deep networks with stochastic depth" (2016)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from linnet_train.errors import TrainingError
from linnet_train.quantization.graph import calls


def with_stochastic_depth(model: keras.Model, share: float) -> keras.Model:
    """A copy of a Functional model in which training steps drop residual branches at random, for each photo separately.

    Only branches beside an identity are dropped. A branch that is kept is scaled up, so inference does not change.

    Args:
        model: a model with residual additions.
        share: the probability that the last of n branches is dropped. For the i-th branch it is i / n of that.

    Raises:
        TrainingError: the network has no residual branches.
    """
    branches = _branches(model)
    if not branches:
        raise TrainingError(
            "recipe $.regularization.stochastic_depth",
            got=share,
            expected="0 for a network without residual branches",
        )
    shares = {name: share * (i + 1) / len(branches) for i, name in enumerate(branches)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name not in shares:
            return layer(*args, **kwargs)
        inputs, branch = list(args[0]), branches[layer.name]
        drop = layers.Dropout(shares[layer.name], noise_shape=(None, 1, 1, 1), name=f"{layer.name}_depth")
        inputs[branch] = drop(inputs[branch])
        return layer(inputs, *args[1:], **kwargs)

    copy = keras.models.clone_model(model, call_function=call)
    for layer in model.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _branches(model: keras.Model) -> dict[str, int]:
    """The residual additions in order, by name, each with the index of the input that comes from its branch."""
    branches: dict[str, int] = {}
    behind: dict[int, set[int]] = {}  # of each tensor, by its id: the ids of all that it is computed from
    for node in calls(model):
        inputs = [id(tensor) for tensor in node.input_tensors]
        sources = set(inputs).union(*(behind.get(tensor, set()) for tensor in inputs))
        behind.update((id(tensor), sources) for tensor in node.outputs)
        if isinstance(node.operation, layers.Add) and len(inputs) == 2:
            for branch, identity in ((1, 0), (0, 1)):
                if inputs[identity] in behind.get(inputs[branch], set()):
                    branches[node.operation.name] = branch
    return branches
