"""What is frozen stays exactly as it was, batch statistics too, and what is not trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from linnet_train.data.dataset import Dataset
from linnet_train.errors import TrainingError
from linnet_train.models import build_model, head_layers
from linnet_train.recipes.recipe import Features, Gradual, Last, Recipe
from linnet_train.training.loop import train_network
from linnet_train.training.phases import Phase
from linnet_train.training.transfer import blocks_of, train_all, train_head, train_last, train_share
from networks import TINY
from program import Program, one_line_error

# How many blocks the papers count, with the stem and a last convolution before the pooling.
BLOCKS = {
    "mobilenet_v1": 1 + 13,
    "mobilenet_v2": 1 + 17 + 1,
    "mobilenet_v3_small": 1 + 11 + 1,
    "mobilenet_v4_conv_small": 1 + 2 + 2 + 6 + 6 + 1,
    "efficientnet_lite0": 1 + 16 + 1,
    "resnet8": 1 + 3,
    "resnet18": 1 + 8,
    "resnet50": 1 + 16,
    "vgg16": 5,
    "cifar_cnn": 3,
}


def trained(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if layer.trainable_weights}


@pytest.mark.parametrize(("name", "count"), BLOCKS.items())
def test_the_blocks_of_a_network_are_those_of_its_paper(name: str, count: int) -> None:
    model = build_model(name, classes=3, size=64)
    blocks = blocks_of(model)
    assert len(blocks) == count
    in_blocks = [layer for block in blocks for layer in block]
    assert len(in_blocks) == len(set(in_blocks))
    train_all(model)
    assert {*in_blocks, *head_layers(model)} == trained(model), "no layer is forgotten"


def test_the_last_blocks_are_those_before_the_head() -> None:
    model = build_model("mobilenet_v2", classes=3, size=64)
    head = set(head_layers(model))
    train_head(model)
    assert trained(model) == head == {"logits"}
    train_last(model, Last(blocks=2))
    last = trained(model)
    assert {name.split("_")[1] for name in last if name.startswith("block_")} == {"16"}
    assert {"Conv_1", "Conv_1_bn", "logits"} <= last
    train_last(model, Last(layer="block_16_project"))
    assert trained(model) == {"block_16_project", "block_16_project_BN", "Conv_1", "Conv_1_bn", "logits"}
    train_share(model, 0.5)
    assert {name for name in trained(model) if name.endswith("project")} == {f"block_{i}_project" for i in range(8, 17)}
    train_share(model, 1.0)
    assert "Conv1" in trained(model)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (Last(blocks=20), "recipe $.transfer.blocks: got 20, expected at most 19"),
        (
            Last(layer="block_13_expnd"),
            "recipe $.transfer.layer: got 'block_13_expnd', expected one of block_13_expand",
        ),
    ],
)
def test_blocks_and_layers_that_are_not_there_get_one_line(last: Last, says: str) -> None:
    with pytest.raises(TrainingError) as caught:
        train_last(build_model("mobilenet_v2", classes=3, size=64), last)
    assert str(caught.value).startswith(says)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """Weights that are not the initial ones."""
    model = build_model("tiny", classes=3, size=32)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    path = tmp_path_factory.mktemp("weights") / "pretrained.keras"
    model.save(path)
    return path, model


def changed(file: Path, model: keras.Model) -> set[str]:
    """The layers of the backbone whose weights or statistics in a file are not those of a model, but for offsets: of
    int8 these are rounded to what an engine can add.
    """
    mine = keras.saving.load_model(file, compile=False)

    def weights(of: keras.Model, name: str) -> list[np.ndarray]:
        return [np.asarray(weight) for weight in of.get_layer(name).weights if weight.name != "beta"]

    return {name for name in BACKBONE if not all(map(np.array_equal, weights(mine, name), weights(model, name)))}


BACKBONE = {"stem", "stem_bn", "depthwise", "depthwise_bn", "project", "project_bn"}
MODES: dict[str, tuple[Any, set[str], list[str]]] = {
    "features": (Features(), set(), ["head", "int8, ranges moving"]),
    "last": (Last(blocks=1), {"project", "project_bn"}, ["head", "last blocks", "int8, ranges moving"]),
    "gradual": (Gradual(stages=3), BACKBONE, ["head", "last 1/3", "last 2/3", "whole"]),
}


@pytest.mark.parametrize(("transfer", "moves", "phases"), MODES.values(), ids=list(MODES))
def test_what_is_frozen_stays_as_its_weights_are_in_int8_too(
    transfer: Any,
    moves: set[str],
    phases: list[str],
    pretrained: tuple[Path, keras.Model],
    easy_dataset: Dataset,
    tmp_path: Path,
) -> None:
    path, model = pretrained
    network = {"model": "tiny", "size": 32, "weights": str(path), "batch_size": 9, "transfer": transfer}
    recipe = Recipe(data="", head_epochs=1, epochs=3, qat_epochs=phases.count("int8, ranges moving"), **network)
    said: list[str] = []

    def watch(phase: Phase, steps: int) -> keras.callbacks.Callback:
        said.append(phase.name)
        return keras.callbacks.Callback()

    train_network(recipe, easy_dataset, tmp_path, watch)
    assert said == phases
    assert changed(tmp_path / "float.keras", model) == moves
    assert changed(tmp_path / "qat.keras", model) == moves


def test_an_unknown_layer_is_named_before_the_photos_are_read(
    pretrained: tuple[Path, keras.Model], tmp_path: Path, program: Program
) -> None:
    photos = tmp_path / "none"
    photos.mkdir()
    change = ("--set", "transfer.name=last", "--set", "transfer.layer=projet")
    arguments = ("train", photos, "--out", tmp_path / "run", *TINY, "--weights", pretrained[0], *change)
    error = one_line_error(program(*arguments, status=1))
    assert error.startswith("recipe $.transfer.layer: got 'projet', expected one of project, project_bn")
