"""EfficientNet-Lite 0 to 4: EfficientNet for integer accelerators, without squeeze-and-excite and with ReLU6.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks" (2019); Lite is in
tensorflow/tpu, models/official/efficientnet/lite (2020). Unlike EfficientNet, the stem, the head and the depth of the
first and the last stage are not scaled. The layers have the names of timm's tf_efficientnet_lite, so that timm's
checkpoints fit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import layers

from linnet_train.models.blocks import conv_bn, divisible

_EPSILON = 1e-3
_STEM, _HEAD = 32, 1280


class _Stage(NamedTuple):
    depth: int
    kernel: int
    strides: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite0(x: Any) -> Any:
    """EfficientNet-Lite0."""
    return _efficientnet_lite(x, width=1.0, depth=1.0)


def efficientnet_lite1(x: Any) -> Any:
    """EfficientNet-Lite1."""
    return _efficientnet_lite(x, width=1.0, depth=1.1)


def efficientnet_lite2(x: Any) -> Any:
    """EfficientNet-Lite2."""
    return _efficientnet_lite(x, width=1.1, depth=1.2)


def efficientnet_lite3(x: Any) -> Any:
    """EfficientNet-Lite3."""
    return _efficientnet_lite(x, width=1.2, depth=1.4)


def efficientnet_lite4(x: Any) -> Any:
    """EfficientNet-Lite4."""
    return _efficientnet_lite(x, width=1.4, depth=1.8)


def _efficientnet_lite(x: Any, *, width: float, depth: float) -> Any:
    x = _step(x, _STEM, 3, 2, "conv_stem", "bn1")
    for i, stage in enumerate(_STAGES):
        ends = i in (0, len(_STAGES) - 1)
        for j in range(stage.depth if ends else math.ceil(stage.depth * depth)):
            strides = stage.strides if j == 0 else 1
            x = _block(x, stage, divisible(stage.filters * width), strides, f"blocks_{i}_{j}_")
    return _step(x, _HEAD, 1, 1, "conv_head", "bn2")


def _block(x: Any, stage: _Stage, filters: int, strides: int, prefix: str) -> Any:
    """An inverted residual; without expansion, a depthwise separable convolution."""
    shortcut, norms = x, iter(f"{prefix}bn{number}" for number in (1, 2, 3))
    project = "conv_pw"
    if stage.expansion > 1:
        x = _step(x, x.shape[-1] * stage.expansion, 1, 1, f"{prefix}conv_pw", next(norms))
        project = "conv_pwl"
    x = _step(x, None, stage.kernel, strides, f"{prefix}conv_dw", next(norms))
    x = _step(x, filters, 1, 1, prefix + project, next(norms), act=None)
    if strides == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{prefix}add")([shortcut, x])
    return x


def _step(
    x: Any, filters: int | None, kernel: int, strides: int, name: str, norm: str, act: str | None = "relu6"
) -> Any:
    return conv_bn(x, filters, kernel, strides, name=name, norm=norm, epsilon=_EPSILON, act=act)
