"""Networks from textbooks, for teaching and as baselines."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from linnet_train.models.blocks import activation


def lenet5(x: Any) -> Any:
    """LeCun et al., "Gradient-based learning applied to document recognition" (1998).

    This is the network as it is taught today: ReLU instead of tanh, plain average pooling, every filter reads every
    channel, and the input has three colors instead of gray.
    """
    x = _conv(x, 6, 5, "c1", padding="valid")
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = _conv(x, 16, 5, "c3", padding="valid")
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    return _dense(_dense(x, 120, "c5"), 84, "f6")


def cifar_cnn(x: Any) -> Any:
    """Caffe's CIFAR10_quick for 32 px, three convolutions with pooling and two dense layers, with a ReLU between these.

    Jia et al., "Caffe: convolutional architecture for fast feature embedding" (2014).
    """
    x = _conv(x, 32, 5, "conv1")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    x = _conv(x, 32, 5, "conv2")
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="pool2")(x)
    x = _conv(x, 64, 5, "conv3")
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="pool3")(x)
    return _dense(layers.Flatten(name="flatten")(x), 64, "ip1")


def alexnet(x: Any) -> Any:
    """AlexNet in one column: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014).

    The original is Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012).
    """
    x = layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = _conv(x, 64, 11, "conv1", strides=4, padding="valid")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = _conv(x, 192, 5, "conv2")
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)
    x = _conv(x, 384, 3, "conv3")
    x = _conv(x, 256, 3, "conv4")
    x = _conv(x, 256, 3, "conv5")
    x = layers.MaxPooling2D(3, strides=2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    return _dense(_dense(x, 4096, "fc6"), 4096, "fc7")


def vgg16(x: Any) -> Any:
    """Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015)."""
    x = keras.applications.VGG16(input_tensor=x, include_top=False, weights=None).output
    return _dense(_dense(layers.Flatten(name="flatten")(x), 4096, "fc1"), 4096, "fc2")


def _conv(x: Any, filters: int, kernel: int, name: str, *, strides: int = 1, padding: str = "same") -> Any:
    x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, name=name)(x)
    return activation(x, "relu", name=f"{name}_relu")


def _dense(x: Any, units: int, name: str) -> Any:
    return activation(layers.Dense(units, name=name)(x), "relu", name=f"{name}_relu")
