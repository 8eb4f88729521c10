"""Residual networks: He et al., "Deep residual learning for image recognition" (2016)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from linnet_train.models.blocks import activation, conv_bn


def resnet8(x: Any) -> Any:
    """The image classifier of MLPerf Tiny, for 32 px: Banbury et al., "MLPerf Tiny benchmark" (2021).

    Unlike the other residual networks, its convolutions have biases and its shortcuts no batch normalization.
    """
    x = _conv_bias_bn(x, 16, 1, "conv1", "relu")
    for stage, filters in enumerate((16, 32, 64), start=1):
        strides = 1 if stage == 1 else 2
        y = _conv_bias_bn(x, filters, strides, f"stage{stage}_conv1", "relu")
        y = _conv_bias_bn(y, filters, 1, f"stage{stage}_conv2", None)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, name=f"stage{stage}_shortcut")(x)
        x = layers.Add(name=f"stage{stage}_add")([x, y])
        x = activation(x, "relu", name=f"stage{stage}_relu")
    return x


def _conv_bias_bn(x: Any, filters: int, strides: int, name: str, act: str | None) -> Any:
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return x if act is None else activation(x, act, name=f"{name}_{act}")


def resnet18(x: Any) -> Any:
    """ResNet-18, with the layer names, the padding and the epsilon of timm, so that timm's checkpoints fit."""
    x = _step(x, 64, 7, 2, "conv1", "bn1", "relu")
    # Behind a ReLU, padding with zeros gives the same maxima as PyTorch's padding with minus infinity.
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="maxpool")(x)
    for stage, filters in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            x = _basic_block(x, filters, 2 if stage > 1 and block == 0 else 1, f"layer{stage}_{block}_")
    return x


def _basic_block(x: Any, filters: int, strides: int, prefix: str) -> Any:
    y = _step(x, filters, 3, strides, f"{prefix}conv1", f"{prefix}bn1", "relu")
    y = _step(y, filters, 3, 1, f"{prefix}conv2", f"{prefix}bn2", None)
    if strides > 1:
        x = _step(x, filters, 1, strides, f"{prefix}downsample_0", f"{prefix}downsample_1", None)
    return activation(layers.Add(name=f"{prefix}add")([x, y]), "relu", name=f"{prefix}relu")


def _step(x: Any, filters: int, kernel: int, strides: int, name: str, norm: str, act: str | None) -> Any:
    return conv_bn(x, filters, kernel, strides, name=name, norm=norm, epsilon=1e-5, act=act, symmetric=True)


def resnet50(x: Any) -> Any:
    """ResNet-50 from keras.applications: the paper's version, with the stride in the first convolution of a block."""
    return keras.applications.ResNet50(input_tensor=x, include_top=False, weights=None).output
