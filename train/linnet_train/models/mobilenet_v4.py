"""MobileNetV4, its convolutional networks: Qin et al., "MobileNetV4: universal models for the mobile ecosystem" (2024).

The layers have the names, the padding and the epsilon of timm's implementation, so that its checkpoints fit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import layers

from linnet_train.models.blocks import conv_bn, divisible

_EPSILON = 1e-5
_STEM, _FEATURES = 32, 1280


class _Conv(NamedTuple):
    """A convolution."""

    kernel: int
    strides: int
    filters: int


class _Fused(NamedTuple):
    """A fused inverted bottleneck: the expansion is the 3x3 convolution."""

    strides: int
    expansion: float
    filters: int


class _Universal(NamedTuple):
    """The universal inverted bottleneck: a depthwise convolution before the expansion, behind it, both or neither."""

    start: int
    """The kernel of the depthwise convolution before the expansion; 0: none."""
    middle: int
    """The kernel of the one behind the expansion; 0: none."""
    strides: int
    expansion: float
    filters: int


_Stages = tuple[tuple[_Conv | _Fused | _Universal, ...], ...]

_SMALL: _Stages = (
    (_Conv(3, 2, 32), _Conv(1, 1, 32)),
    (_Conv(3, 2, 96), _Conv(1, 1, 64)),
    (
        _Universal(5, 5, 2, 3, 96),
        _Universal(0, 3, 1, 2, 96),
        _Universal(0, 3, 1, 2, 96),
        _Universal(0, 3, 1, 2, 96),
        _Universal(0, 3, 1, 2, 96),
        _Universal(3, 0, 1, 4, 96),
    ),
    (
        _Universal(3, 3, 2, 6, 128),
        _Universal(5, 5, 1, 4, 128),
        _Universal(0, 5, 1, 4, 128),
        _Universal(0, 5, 1, 3, 128),
        _Universal(0, 3, 1, 4, 128),
        _Universal(0, 3, 1, 4, 128),
    ),
    (_Conv(1, 1, 960),),
)
_MEDIUM: _Stages = (
    (_Fused(2, 4, 48),),
    (_Universal(3, 5, 2, 4, 80), _Universal(3, 3, 1, 2, 80)),
    (
        _Universal(3, 5, 2, 6, 160),
        _Universal(3, 3, 1, 4, 160),
        _Universal(3, 3, 1, 4, 160),
        _Universal(3, 5, 1, 4, 160),
        _Universal(3, 3, 1, 4, 160),
        _Universal(3, 0, 1, 4, 160),
        _Universal(0, 0, 1, 2, 160),
        _Universal(3, 0, 1, 4, 160),
    ),
    (
        _Universal(5, 5, 2, 6, 256),
        _Universal(5, 5, 1, 4, 256),
        _Universal(3, 5, 1, 4, 256),
        _Universal(3, 5, 1, 4, 256),
        _Universal(0, 0, 1, 4, 256),
        _Universal(3, 0, 1, 4, 256),
        _Universal(3, 5, 1, 2, 256),
        _Universal(5, 5, 1, 4, 256),
        _Universal(0, 0, 1, 4, 256),
        _Universal(0, 0, 1, 4, 256),
        _Universal(5, 0, 1, 2, 256),
    ),
    (_Conv(1, 1, 960),),
)


def mobilenet_v4_conv_small(x: Any) -> Any:
    """MobileNetV4-Conv-Small, with the head that it has behind the pooling."""
    return _mobilenet_v4(x, _SMALL)


def mobilenet_v4_conv_medium(x: Any) -> Any:
    """MobileNetV4-Conv-Medium, with the head that it has behind the pooling."""
    return _mobilenet_v4(x, _MEDIUM)


def _mobilenet_v4(x: Any, stages: _Stages) -> Any:
    x = _step(x, _STEM, 3, 2, "conv_stem", "bn1", "relu")
    for i, stage in enumerate(stages):
        for j, block in enumerate(stage):
            prefix = f"blocks_{i}_{j}_"
            if isinstance(block, _Conv):
                x = _step(x, block.filters, block.kernel, block.strides, f"{prefix}conv", f"{prefix}bn1", "relu")
                continue
            y = _fused(x, block, prefix) if isinstance(block, _Fused) else _universal(x, block, prefix)
            same = block.strides == 1 and x.shape[-1] == block.filters
            x = layers.Add(name=f"{prefix}add")([x, y]) if same else y
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = _step(x, _FEATURES, 1, 1, "conv_head", "norm_head", "relu")
    return layers.Flatten(name="features")(x)


def _fused(x: Any, block: _Fused, prefix: str) -> Any:
    expanded = divisible(x.shape[-1] * block.expansion)
    x = _step(x, expanded, 3, block.strides, f"{prefix}conv_exp", f"{prefix}bn1", "relu")
    return _step(x, block.filters, 1, 1, f"{prefix}conv_pwl", f"{prefix}bn2", None)


def _universal(x: Any, block: _Universal, prefix: str) -> Any:
    def step(x: Any, filters: int | None, kernel: int, strides: int, part: str, act: str | None) -> Any:
        return _step(x, filters, kernel, strides, f"{prefix}{part}_conv", f"{prefix}{part}_bn", act)

    expanded = divisible(x.shape[-1] * block.expansion)
    if block.start:
        x = step(x, None, block.start, 1 if block.middle else block.strides, "dw_start", None)
    x = step(x, expanded, 1, 1, "pw_exp", "relu")
    if block.middle:
        x = step(x, None, block.middle, block.strides, "dw_mid", "relu")
    return step(x, block.filters, 1, 1, "pw_proj", None)


def _step(x: Any, filters: int | None, kernel: int, strides: int, name: str, norm: str, act: str | None) -> Any:
    return conv_bn(x, filters, kernel, strides, name=name, norm=norm, epsilon=_EPSILON, act=act, symmetric=True)
