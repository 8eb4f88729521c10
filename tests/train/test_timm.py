"""timm's checkpoints against timm itself, with random weights: torch is large, so this is for those who have it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_train.models import NETWORKS, build_model
from linnet_train.models.figures import count_macs, count_parameters

torch = pytest.importorskip("torch", reason="compares with timm: pip install torch timm")
timm = pytest.importorskip("timm", reason="compares with timm: pip install torch timm")

pytestmark = pytest.mark.timm
torch.set_num_threads(1)  # its threads and TensorFlow's would wait for each other

THEIRS = {name: network.timm for name, network in NETWORKS.items() if network.timm}
OURS = (128 / 255,) * 3  # mean and std that make timm's pixels Linnet's
CLASSES = 5


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    """Of a hundred layers in float32, timm's too, the outputs are 1e-4 from the truth by rounding alone."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


def random_network(name: str) -> Any:
    """timm's network with random weights, and the batch statistics that noise has in it."""
    torch.manual_seed(0)
    network = timm.create_model(THEIRS[name].name, pretrained=False, num_classes=CLASSES).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.7, 1.4)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # the average of the batches
    with torch.no_grad():
        network(torch.rand(16, 3, 96, 96) * 2 - 1)
    return network.eval()


def checkpoint(network: Any, name: str, folder: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Path:
    from safetensors.torch import save_file

    config = {"architecture": THEIRS[name].name, "pretrained_cfg": {"mean": mean, "std": std}}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def with_classifier(model: keras.Model, network: Any) -> keras.Model:
    """The model with timm's classifier, which Linnet leaves out."""
    classifier = network.get_classifier()
    kernel, bias = (tensor.detach().numpy() for tensor in (classifier.weight, classifier.bias))
    model.get_layer("logits").set_weights([kernel.T, bias])
    return model


def outputs(network: Any, pixels: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    normalized = (pixels / 255 - np.array(mean)) / np.array(std)
    with torch.no_grad():
        return network.double()(torch.tensor(normalized.transpose(0, 3, 1, 2))).numpy()


def photos(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)


@pytest.mark.parametrize("size", [64, 75])  # steps of two over even and over odd sizes pad differently
@pytest.mark.parametrize("name", THEIRS)
def test_outputs_are_timms(name: str, size: int, tmp_path: Path) -> None:
    network = random_network(name)
    weights = str(checkpoint(network, name, tmp_path, OURS, OURS))
    model = with_classifier(build_model(name, classes=CLASSES, size=size, weights=weights), network)
    pixels = photos(size)
    expected = outputs(network, pixels, OURS, OURS)
    assert expected.std() > 0.01, "outputs that say nothing"
    np.testing.assert_allclose(model.predict(pixels, verbose=0), expected, atol=1e-4)


@pytest.mark.parametrize("name", THEIRS)
def test_every_layer_computes_as_much_as_timms(name: str) -> None:
    network = random_network(name)
    macs = 0

    def count(module: Any, _: Any, output: Any) -> None:
        nonlocal macs
        macs += module.weight.numel() * int(np.prod(output.shape[2:]))

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    outputs(network, photos(64)[:1], OURS, OURS)
    model = build_model(name, classes=CLASSES, size=64)
    assert count_macs(model) == macs
    assert count_parameters(model) == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "behind_stem"), [("resnet18", "act1"), ("mobilenet_v4_conv_small", "bn1")])
def test_the_first_convolution_takes_in_timms_normalization(name: str, behind_stem: str, tmp_path: Path) -> None:
    """But for the border of zeros, which has another colour there."""
    mean, std = THEIRS[name].pixels.mean, THEIRS[name].pixels.std
    network, pixels = random_network(name), photos(64)
    features: list[Any] = []
    getattr(network, behind_stem).register_forward_hook(lambda *call: features.append(call[-1].numpy()))
    logits = outputs(network, pixels, mean, std)
    model = build_model(name, classes=CLASSES, size=64, weights=str(checkpoint(network, name, tmp_path, mean, std)))
    stem = keras.Model(model.input, model.get_layer("bn1_relu").output).predict(pixels, verbose=0)
    expected = features[0].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(stem[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-4)
    mine = with_classifier(model, network).predict(pixels, verbose=0)
    assert np.corrcoef(mine.ravel(), logits.ravel())[0, 1] > 0.98, "the border is a small part"
