"""Turns a model into an equivalent one of plain layers, each of which is one operation of an engine. Internal.

Nested models are flattened, activations become separate layers, and a separable convolution becomes its two
convolutions.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from linnet_train.quantization.check import activation_name
from linnet_train.quantization.graph import Names, functional, readers, walk

_RELU_LIMITS = {"relu": None, "relu6": 6.0}


def flatten(model: keras.Model) -> keras.Model:
    """A float32 model with the same outputs and copies of the weights. The model must have passed ``check``."""
    graph = functional(model)
    tensor = graph.inputs[0]  # type: ignore[union-attr]  # checked
    inputs = keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
    return keras.Model(inputs, _Flattening().run(graph, inputs, {}), name=model.name)


def is_affine(layer: Any) -> bool:
    """Whether a layer scales and shifts each channel. Engines do that only as a part of a convolution."""
    if isinstance(layer, layers.Activation):
        return activation_name(layer) == "hard_sigmoid"
    return isinstance(layer, layers.BatchNormalization)


class _Flattening:
    """The state of one ``flatten``."""

    def __init__(self) -> None:
        self._names = Names()
        self._copies: dict[tuple[int, type], Any] = {}  # of layers with weights: one that is called twice has one copy

    def run(self, graph: Any, inputs: Any, training: dict[str, bool]) -> Any:
        """The graph's output for new inputs; ``training`` is the argument with which a nested model was called."""
        readers_of = readers(graph)

        def call(node: Any, x: Any, **kwargs: Any) -> Any:
            called_with = training or {key: value for key, value in kwargs.items() if key == "training"}
            inner = functional(node.operation)
            if inner is not None:
                return self.run(inner, x, called_with)
            behind = [reader is not None and is_affine(reader.operation) for reader in readers_of[id(node.outputs[0])]]
            return self._layer(node, x, called_with, affine_behind=behind == [True])

        return walk(graph, inputs, call)

    def _layer(self, node: Any, x: Any, training: dict[str, bool], *, affine_behind: bool) -> Any:
        layer, activation = node.operation, activation_name(node.operation)
        # TensorFlow's converter has one scale for a whole dense layer; affine layers need one for each channel.
        affine_behind = affine_behind if activation == "linear" else activation == "hard_sigmoid"
        if isinstance(layer, layers.Dense) and (affine_behind or len(x.shape) == 4):
            x = self._dense_as_convolution(layer, x)
        elif isinstance(layer, layers.SeparableConv2D):
            x = self._separable_convolution(layer, x)
        elif not isinstance(layer, layers.Activation | layers.Softmax):
            mode = training if isinstance(layer, layers.BatchNormalization | layers.Dropout) else {}
            x = self._copy(layer, type(layer), layer.get_config(), layer.get_weights(), x, **mode)
        if activation != "linear":
            name = layer.name if isinstance(layer, layers.Activation | layers.Softmax) else f"{layer.name}_{activation}"
            x = _activation(activation, self._names.unique(name))(x)
        shape = node.outputs[0].shape[1:]
        if len(x.shape) != 1 + len(shape) and not affine_behind:
            x = layers.Reshape(shape, name=self._names.unique(f"{layer.name}_reshape"))(x)
        return x

    def _dense_as_convolution(self, dense: Any, x: Any) -> Any:
        """[N, C] or [N, H, W, C] to [N, 1, 1, units] or [N, H, W, units]."""
        if len(x.shape) == 2:
            x = layers.Reshape((1, 1, x.shape[-1]), name=self._names.unique(f"{dense.name}_input"))(x)
        config = {
            **{key: value for key, value in dense.get_config().items() if key in _KEPT_OF_DENSE},
            "filters": dense.units,
            "kernel_size": 1,
        }
        return self._copy(dense, layers.Conv2D, config, dense.get_weights(), x)

    def _separable_convolution(self, separable: Any, x: Any) -> Any:
        depthwise_kernel, *others = separable.get_weights()
        depthwise = {
            "name": f"{separable.name}_depthwise",
            "kernel_size": separable.kernel_size,
            "strides": separable.strides,
            "padding": separable.padding,
            "dilation_rate": separable.dilation_rate,
            "depth_multiplier": separable.depth_multiplier,
            "depthwise_regularizer": separable.depthwise_regularizer,
            "use_bias": False,
        }
        pointwise = {
            "name": separable.name,
            "filters": separable.filters,
            "kernel_size": 1,
            "kernel_regularizer": separable.pointwise_regularizer,
            "bias_regularizer": separable.bias_regularizer,
            "use_bias": separable.use_bias,
        }
        x = self._copy(separable, layers.DepthwiseConv2D, depthwise, [depthwise_kernel], x)
        return self._copy(separable, layers.Conv2D, pointwise, others, x)

    def _copy(self, layer: Any, kind: Any, config: dict[str, Any], weights: list[Any], x: Any, **kwargs: Any) -> Any:
        """The output of a new layer of that kind, with the given config and weights, for the input ``x``."""
        copy = self._copies.get((id(layer), kind))
        if copy is None:
            # bfloat16 has fewer levels than int8, so a model that was trained in it continues in float32.
            config = {**config, "name": self._names.unique(config["name"]), "dtype": "float32"}
            copy = kind.from_config(config | ({"activation": "linear"} if "activation" in config else {}))
        y = copy(x, **kwargs)
        if weights:
            self._copies[id(layer), kind] = copy
            copy.set_weights([value.reshape(own.shape) for value, own in zip(weights, copy.weights, strict=True)])
        return y


_KEPT_OF_DENSE = ("name", "trainable", "use_bias", "kernel_regularizer", "bias_regularizer")


def _activation(kind: Any, name: str) -> Any:
    if kind in _RELU_LIMITS:
        return layers.ReLU(_RELU_LIMITS[kind], name=name)
    return layers.Activation(kind, name=name)
