"""What the tests of training and of conversion share: a network that trains and converts in seconds, photos that it
can learn, a run of both, and ``linnet`` in this very process.

TensorFlow takes five seconds to import and MobileNetV2 ten to trace: most of these tests need neither a process of
their own nor a deep network.
"""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from linnet_runtime.cli import main
from linnet_train.models import NETWORKS, Network
from linnet_train.models.registry import Published
from once import made_once
from program import Program

# One process traces more networks here than a user's does in a week; TensorFlow would say so each time.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

CLASSES = {"blue": (200, 60, 60), "green": (60, 200, 60), "red": (60, 60, 200)}  # BGR
PER_CLASS = 20
TINY = ("--model", "tiny", "--size", 32, "--weights", "none", "--batch-size", 9, "--learning-rate", 0.01)
SCHEDULE = ("--epochs", 4, "--qat-epochs", 3)


def tiny(inputs: Any, *, alpha: float) -> Any:
    """Every kind of layer that MobileNetV2 has, once: a convolution, a depthwise one, a residual addition."""
    del alpha
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.BatchNormalization(name="depthwise_bn")(y)
    y = layers.ReLU(6.0, name="depthwise_relu")(y)
    y = layers.Conv2D(8, 1, use_bias=False, name="project")(y)
    y = layers.BatchNormalization(name="project_bn")(y)
    return layers.Add(name="add")([x, y])


# In the registry, as a network of Linnet's own would be: ``--model tiny``.
NETWORKS["tiny"] = Network(tiny, size=32, paper="", published=Published(0, 0, ""), alpha=1.0)


def write_easy_photos(folder: Path) -> None:
    """60 photos of noise, 20 in each of three folders, each class of a colour of its own."""
    rng = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for i in range(PER_CLASS):
            photo = colour + rng.normal(0, 30, 3) + rng.normal(0, 40, (36, 44, 3))
            cv2.imwrite(str(folder / name / f"{i:02d}.jpg"), np.clip(photo, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def easy_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA that a tiny network learns; not to be written to."""
    return made_once(tmp_path_factory, "colours", write_easy_photos)


@pytest.fixture(scope="session")
def tiny_run(easy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN: the tiny network after four epochs in float and three in int8; not to be written to."""

    def make(folder: Path) -> None:
        assert main([str(a) for a in ("train", easy_photos, "--out", folder / "colours-run", *TINY, *SCHEDULE)]) == 0

    return made_once(tmp_path_factory, "tiny-runs", make) / "colours-run"


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str]) -> Program:
    """``linnet`` in this process; what ``program.linnet`` gives, and it fails as that does."""

    def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        got = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert got == status, f"{got}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, got, out, err)

    return run


def pytest_itemcollected(item: pytest.Item) -> None:
    """h5py hands NumPy 2's copy keyword to TensorFlow's variables, which do not know it yet."""
    known = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    item.add_marker(pytest.mark.filterwarnings(known))


def random_weights(model: keras.Model, pixels: np.ndarray, seed: int, shift: float = 0.0) -> None:
    """Gives an untrained network weights that are not trivial, and the batch statistics of uint8 [N, H, W, 3], so that
    its logits differ from photo to photo, as a trained one's do. ``shift`` is the mean of what a batch normalisation
    adds.
    """
    rng = np.random.default_rng(seed)
    for layer in batch_normalizations(model):
        layer.gamma.assign(rng.uniform(0.7, 1.4, layer.gamma.shape))
        layer.beta.assign(rng.normal(shift, 0.3, layer.beta.shape))
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.kernel.assign(rng.normal(0, 1.0, layer.kernel.shape))
            if layer.use_bias:
                layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    batch_statistics(model, pixels)


def batch_statistics(model: keras.Model, pixels: np.ndarray) -> None:
    """Gives the batch normalizations the statistics of uint8 [N, H, W, 3]; after a few steps of training they would
    still have those of the first weights.
    """
    norms = batch_normalizations(model)
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # the statistics of this one batch
    model(pixels, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def batch_normalizations(model: keras.Model) -> list[layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
