"""MobileNetV3: Howard et al., "Searching for MobileNetV3" (2019).

keras.applications writes the hard sigmoid as arithmetic on tensors, which cannot be quantized layer by layer. Here
every step is a layer. Layers with weights have the names of keras.applications, so that its weights fit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import layers

from linnet_train.models.blocks import activation, conv_bn, divisible

_EPSILON = 1e-3
_SQUEEZE = 0.25


class _Block(NamedTuple):
    expansion: float
    filters: int
    kernel: int
    strides: int
    squeeze: bool
    act: str


_SMALL = (
    _Block(1, 16, 3, 2, True, "relu"),
    _Block(72 / 16, 24, 3, 2, False, "relu"),
    _Block(88 / 24, 24, 3, 1, False, "relu"),
    _Block(4, 40, 5, 2, True, "hard_swish"),
    _Block(6, 40, 5, 1, True, "hard_swish"),
    _Block(6, 40, 5, 1, True, "hard_swish"),
    _Block(3, 48, 5, 1, True, "hard_swish"),
    _Block(3, 48, 5, 1, True, "hard_swish"),
    _Block(6, 96, 5, 2, True, "hard_swish"),
    _Block(6, 96, 5, 1, True, "hard_swish"),
    _Block(6, 96, 5, 1, True, "hard_swish"),
)
_LARGE = (
    _Block(1, 16, 3, 1, False, "relu"),
    _Block(4, 24, 3, 2, False, "relu"),
    _Block(3, 24, 3, 1, False, "relu"),
    _Block(3, 40, 5, 2, True, "relu"),
    _Block(3, 40, 5, 1, True, "relu"),
    _Block(3, 40, 5, 1, True, "relu"),
    _Block(6, 80, 3, 2, False, "hard_swish"),
    _Block(2.5, 80, 3, 1, False, "hard_swish"),
    _Block(2.3, 80, 3, 1, False, "hard_swish"),
    _Block(2.3, 80, 3, 1, False, "hard_swish"),
    _Block(6, 112, 3, 1, True, "hard_swish"),
    _Block(6, 112, 3, 1, True, "hard_swish"),
    _Block(6, 160, 5, 2, True, "hard_swish"),
    _Block(6, 160, 5, 1, True, "hard_swish"),
    _Block(6, 160, 5, 1, True, "hard_swish"),
)


def mobilenet_v3_small(x: Any, *, alpha: float) -> Any:
    """MobileNetV3-small, with the head that it has behind the pooling."""
    return _mobilenet_v3(x, _SMALL, 1024, alpha)


def mobilenet_v3_large(x: Any, *, alpha: float) -> Any:
    """MobileNetV3-large, with the head that it has behind the pooling."""
    return _mobilenet_v3(x, _LARGE, 1280, alpha)


def mobilenet_v3_small_minimalistic(x: Any, *, alpha: float) -> Any:
    """MobileNetV3-small without squeeze-and-excite, hard-swish and 5x5 kernels."""
    return _mobilenet_v3(x, _minimalistic(_SMALL), 1024, alpha)


def mobilenet_v3_large_minimalistic(x: Any, *, alpha: float) -> Any:
    """MobileNetV3-large without squeeze-and-excite, hard-swish and 5x5 kernels."""
    return _mobilenet_v3(x, _minimalistic(_LARGE), 1280, alpha)


def _minimalistic(blocks: tuple[_Block, ...]) -> tuple[_Block, ...]:
    return tuple(block._replace(kernel=3, squeeze=False, act="relu") for block in blocks)


def _mobilenet_v3(x: Any, blocks: tuple[_Block, ...], features: int, alpha: float) -> Any:
    act = blocks[-1].act
    x = conv_bn(x, 16, 3, 2, name="conv", norm="conv_bn", epsilon=_EPSILON, act=act)
    for number, block in enumerate(blocks):
        x = _inverted_residual(x, block, divisible(block.filters * alpha), number)
    x = conv_bn(x, divisible(x.shape[-1] * 6), 1, name="conv_1", norm="conv_1_bn", epsilon=_EPSILON, act=act)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Conv2D(divisible(features * max(alpha, 1.0)), 1, name="conv_2")(x)
    return layers.Flatten(name="features")(activation(x, act, name=f"conv_2_{act}"))


def _inverted_residual(x: Any, block: _Block, filters: int, number: int) -> Any:
    prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
    shortcut, expanded = x, divisible(x.shape[-1] * block.expansion)

    def step(x: Any, filters: int | None, kernel: int, strides: int, name: str, act: str | None) -> Any:
        name = prefix + name
        return conv_bn(x, filters, kernel, strides, name=name, norm=f"{name}_bn", epsilon=_EPSILON, act=act)

    if number:
        x = step(x, expanded, 1, 1, "expand", block.act)
    x = step(x, None, block.kernel, block.strides, "depthwise", block.act)
    if block.squeeze:
        x = _squeeze_excite(x, f"{prefix}squeeze_excite_")
    x = step(x, filters, 1, 1, "project", None)
    if block.strides == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{prefix}add")([shortcut, x])
    return x


def _squeeze_excite(x: Any, prefix: str) -> Any:
    """Squeeze-and-excite (Hu et al., 2018), with the hard sigmoid of MobileNetV3."""
    channels = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}avg_pool")(x)
    weight = layers.Conv2D(divisible(channels * _SQUEEZE), 1, name=f"{prefix}conv")(weight)
    weight = activation(weight, "relu", name=f"{prefix}relu")
    weight = layers.Conv2D(channels, 1, name=f"{prefix}conv_1")(weight)
    weight = activation(weight, "hard_sigmoid", name=f"{prefix}hard_sigmoid")
    return layers.Multiply(name=f"{prefix}mul")([x, weight])
