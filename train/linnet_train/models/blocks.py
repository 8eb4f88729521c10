"""What the networks are made of: a convolution, its batch normalization and its activation."""

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
        filters: channels of the output; None makes the convolution a depthwise one.
        kernel: height and width of the kernel.
        strides: height and width of the step.
        name: of the convolution.
        norm: name of the normalization.
        epsilon: of the normalization.
        act: what ``activation`` takes, or None.
        symmetric: pad all sides alike, as PyTorch does; TensorFlow's "same" pads less at the top and the left where
            the step is two.
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
    """Any activation that Keras has by name; "relu" and "relu6" are ReLU layers."""
    if kind in ("relu", "relu6"):
        return layers.ReLU(6.0 if kind == "relu6" else None, name=name)(x)
    return layers.Activation(kind, name=name)(x)


def divisible(channels: float, by: int = 8) -> int:
    """The nearest number of channels that ``by`` divides, at most a tenth less: the rule of the MobileNets."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by
