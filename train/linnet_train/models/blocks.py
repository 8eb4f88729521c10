"""The building block of the networks: a convolution with its batch normalization and its activation."""

from __future__ import annotations

from typing import Any

from keras import layers


def conv_bn(
    x: Any,
    filters: int | None,
    kernel: int,
    strides: int = 1,
    *,
    name: str,
    norm: str,
    epsilon: float,
    act: str | None = None,
    symmetric: bool = False,
) -> Any:
    """A convolution without bias and the batch normalization behind it, on [N, H, W, C].

    Args:
        x: the input.
        filters: the channels of the output; None: a depthwise convolution.
        kernel: height and width of the kernel.
        strides: the stride in both directions.
        name: the name of the convolution.
        norm: the name of the batch normalization.
        epsilon: the epsilon of the batch normalization.
        act: the ``kind`` of an ``activation``, or None.
        symmetric: pad all sides equally, as PyTorch does. TensorFlow's "same" pads less at the top and the left if the
            stride is 2.
    """
    padding = "same"
    if symmetric and strides > 1 and kernel > 1:
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"
    settings = {"strides": strides, "padding": padding, "use_bias": False, "name": name}
    if filters is None:
        x = layers.DepthwiseConv2D(kernel, **settings)(x)
    else:
        x = layers.Conv2D(filters, kernel, **settings)(x)
    x = layers.BatchNormalization(epsilon=epsilon, name=norm)(x)
    return x if act is None else activation(x, act, name=f"{norm}_{act}")


def activation(x: Any, kind: str, *, name: str) -> Any:
    """An activation layer. ``kind`` is a name of Keras; "relu" and "relu6" become ReLU layers."""
    if kind in ("relu", "relu6"):
        return layers.ReLU(6.0 if kind == "relu6" else None, name=name)(x)
    return layers.Activation(kind, name=name)(x)


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by`` that is at least 0.9 times ``channels``: the MobileNets' rule."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by
