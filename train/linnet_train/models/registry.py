"""The networks by name: a literal table, with the published figures of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from linnet_devices.errors import Setting, nearest
from linnet_train.errors import TrainingError
from linnet_train.models.classics import alexnet, cifar_cnn, lenet5, vgg16
from linnet_train.models.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from linnet_train.models.mobilenet import mobilenet_v1, mobilenet_v2
from linnet_train.models.mobilenet_v3 import (
    mobilenet_v3_large,
    mobilenet_v3_large_minimalistic,
    mobilenet_v3_small,
    mobilenet_v3_small_minimalistic,
)
from linnet_train.models.mobilenet_v4 import mobilenet_v4_conv_medium, mobilenet_v4_conv_small
from linnet_train.models.normalization import CAFFE, HALF, IMAGENET, Normalization
from linnet_train.models.resnet import resnet8, resnet18, resnet50

_MOBILENET_V1 = "arXiv:1704.04861"
_MOBILENET_V2 = "arXiv:1801.04381"
_MOBILENET_V3 = "arXiv:1905.02244"
_MOBILENET_V4 = "arXiv:2404.10518"
_EFFICIENTNET = "arXiv:1905.11946"
_RESNET = "arXiv:1512.03385"

_SLIM = "tensorflow/models, research/slim/nets/mobilenet/README.md"
_LITE = "tensorflow/tpu, models/official/efficientnet/lite/README.md"
_CAFFE = "BVLC/caffe, examples/cifar10/cifar10_quick_train_test.prototxt"
_TIMM = "timm, results/benchmark-infer-amp-nhwc-pt240-cu124-rtx4090.csv"
_TORCHVISION = "torchvision 0.29, the weights' meta"

_MOST_NAMED = 3


@dataclass(frozen=True)
class Published:
    """The published figures of a network; the tests compare them with ours."""

    parameters: float
    """The trainable parameters: exact if it is an int, rounded if it is a float."""
    macs: float
    """The multiply-adds of the convolutions and dense layers for one picture: exact or rounded, as above."""
    source: str
    """Where the figures are published."""
    size: int = 224
    """Height and width of the picture in pixels, in the source."""
    alpha: float | None = None
    """The width multiplier in the source; None for a network with one width."""
    within: float = 0.01
    """The largest relative difference between a rounded figure and ours."""


@dataclass(frozen=True)
class Timm:
    """The network in timm that has the same layers."""

    name: str
    """The name in timm."""
    pixels: Normalization
    """The normalization of pixels that timm's default checkpoint expects."""


@dataclass(frozen=True)
class Network:
    """A row of the table."""

    build: Callable[..., Any]
    """Adds the layers from normalized pixels [N, size, size, 3] to the last feature map [N, H, W, C], or to the
    features [N, C] before the classifier if the network has more layers there. The layer behind the feature map is
    named "pool" or "flatten".
    """
    size: int
    """The default height and width of the input in pixels."""
    paper: str
    """Where the network is described."""
    published: Published
    """The published figures."""
    classes: int = 1000
    """The number of classes in the paper."""
    alpha: float | None = None
    """The default width multiplier; None: the network has one width."""
    smallest: int = 32
    """The smallest height and width in pixels: with less, the strides would leave an empty feature map."""
    application: Callable[..., keras.Model] | None = None
    """The same network in keras.applications, for its ImageNet weights."""
    application_pixels: Normalization = HALF
    """The normalization of pixels that those weights expect."""
    timm: Timm | None = None
    """The same network in timm, for its checkpoints."""


_V3_SMALL = partial(keras.applications.MobileNetV3Small, include_preprocessing=False)
_V3_LARGE = partial(keras.applications.MobileNetV3Large, include_preprocessing=False)

NETWORKS: dict[str, Network] = {
    "mobilenet_v1": Network(
        mobilenet_v1,
        size=224,
        paper=_MOBILENET_V1,
        published=Published(4.2e6, 569e6, _MOBILENET_V1, alpha=1.0),
        alpha=1.0,
        application=keras.applications.MobileNet,
    ),
    "mobilenet_v2": Network(
        mobilenet_v2,
        size=160,
        paper=_MOBILENET_V2,
        published=Published(3_504_872, 301e6, _TORCHVISION, alpha=1.0),
        alpha=0.35,
        application=keras.applications.MobileNetV2,
    ),
    "mobilenet_v3_small": Network(
        mobilenet_v3_small,
        size=224,
        paper=_MOBILENET_V3,
        published=Published(2_542_856, 57e6, _TORCHVISION, alpha=1.0),
        alpha=1.0,
        application=_V3_SMALL,
    ),
    "mobilenet_v3_large": Network(
        mobilenet_v3_large,
        size=224,
        paper=_MOBILENET_V3,
        published=Published(5_483_032, 217e6, _TORCHVISION, alpha=1.0),
        alpha=1.0,
        application=_V3_LARGE,
    ),
    "mobilenet_v3_small_minimalistic": Network(
        mobilenet_v3_small_minimalistic,
        size=224,
        paper=_MOBILENET_V3,
        # timm rounds to 10 M, and counts batch normalizations: 2.8 M. The README's 65 M belong to an earlier network,
        # as do its 66 M for V3-small.
        published=Published(2.04e6, 0.06e9, _TIMM, alpha=1.0, within=0.13),
        alpha=1.0,
        application=partial(_V3_SMALL, minimalistic=True),
    ),
    "mobilenet_v3_large_minimalistic": Network(
        mobilenet_v3_large_minimalistic,
        size=224,
        paper=_MOBILENET_V3,
        published=Published(3.9e6, 209e6, _SLIM, alpha=1.0),
        alpha=1.0,
        application=partial(_V3_LARGE, minimalistic=True),
    ),
    "mobilenet_v4_conv_small": Network(
        mobilenet_v4_conv_small,
        size=224,
        paper=_MOBILENET_V4,
        published=Published(3.77e6, 0.19e9, _TIMM, within=0.025),  # timm counts normalization too
        timm=Timm("mobilenetv4_conv_small", IMAGENET),
    ),
    "mobilenet_v4_conv_medium": Network(
        mobilenet_v4_conv_medium,
        size=256,
        paper=_MOBILENET_V4,
        published=Published(9.72e6, 1.10e9, _TIMM, size=256, within=0.025),  # timm counts normalization too
        timm=Timm("mobilenetv4_conv_medium", IMAGENET),
    ),
    # The README also counts batch normalizations and activations, which add 3 to 6 % to the convolutions.
    "efficientnet_lite0": Network(
        efficientnet_lite0,
        size=224,
        paper=_EFFICIENTNET,
        published=Published(4.7e6, 407e6, _LITE, within=0.06),
        timm=Timm("tf_efficientnet_lite0", HALF),
    ),
    "efficientnet_lite1": Network(
        efficientnet_lite1,
        size=240,
        paper=_EFFICIENTNET,
        published=Published(5.4e6, 631e6, _LITE, size=240, within=0.06),
        timm=Timm("tf_efficientnet_lite1", HALF),
    ),
    "efficientnet_lite2": Network(
        efficientnet_lite2,
        size=260,
        paper=_EFFICIENTNET,
        published=Published(6.1e6, 899e6, _LITE, size=260, within=0.06),
        timm=Timm("tf_efficientnet_lite2", HALF),
    ),
    "efficientnet_lite3": Network(
        efficientnet_lite3,
        size=280,
        paper=_EFFICIENTNET,
        published=Published(8.2e6, 1.44e9, _LITE, size=280, within=0.06),
        timm=Timm("tf_efficientnet_lite3", HALF),
    ),
    "efficientnet_lite4": Network(
        efficientnet_lite4,
        size=300,
        paper=_EFFICIENTNET,
        published=Published(13.0e6, 2.64e9, _LITE, size=300, within=0.06),
        timm=Timm("tf_efficientnet_lite4", HALF),
    ),
    "resnet8": Network(
        resnet8,
        size=32,
        paper="arXiv:2106.07597",
        # mlcommons/tiny's pretrainedResnet.tflite has 77,706, with the batch normalizations of 240 channels folded.
        published=Published(77_706 + 2 * 240, 12.5e6, "arXiv:2106.07597", size=32),
        classes=10,
    ),
    "resnet18": Network(
        resnet18,
        size=224,
        paper=_RESNET,
        published=Published(11_689_512, 1.814e9, _TORCHVISION),
        timm=Timm("resnet18", IMAGENET),
    ),
    "resnet50": Network(
        resnet50,
        size=224,
        paper=_RESNET,
        published=Published(25.6e6, 3.8e9, "keras.io/api/applications, and the paper", within=0.016),
        application=keras.applications.ResNet50,
        application_pixels=CAFFE,
    ),
    "lenet5": Network(
        lenet5,
        size=32,
        paper="LeCun et al. (1998)",
        # The source counts gray pictures; two more colors add to the first convolution.
        published=Published(61_706 + 300, 416_520 + 235_200, "d2l.ai, LeNet, with padded 28 px", size=32),
        classes=10,
    ),
    "cifar_cnn": Network(
        cifar_cnn,
        size=32,
        paper="arXiv:1408.5093",
        published=Published(145_578, 12.35e6, _CAFFE, size=32),
        classes=10,
    ),
    "alexnet": Network(
        alexnet,
        size=224,
        paper="arXiv:1404.5997",
        published=Published(61_100_840, 0.714e9, _TORCHVISION),
        smallest=63,
    ),
    "vgg16": Network(
        vgg16,
        size=224,
        paper="arXiv:1409.1556",
        published=Published(138_357_544, 15.47e9, _TORCHVISION),
        application=keras.applications.VGG16,
        application_pixels=CAFFE,
    ),
}


def network_named(name: str) -> Network:
    """The row of a network. Raises TrainingError for an unknown name, with the nearest ones."""
    if name not in NETWORKS:
        # "mobilenetv4" looks more like mobilenet_v2 than like mobilenet_v4_conv_small, but the latter begins with it.
        longer = [known for known in NETWORKS if _letters(known).startswith(_letters(name))]
        near = (longer or nearest(name, NETWORKS, most=3))[:_MOST_NAMED]
        raise TrainingError(
            Setting("model"),
            got=repr(name),
            expected="the name of a network" + (f", such as {' or '.join(near)}" if near else ""),
            fix=f"linnet models lists all {len(NETWORKS)}",
        )
    return NETWORKS[name]


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
