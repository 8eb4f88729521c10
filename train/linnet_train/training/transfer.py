"""Which layers of a network train: those behind its last feature map, its last blocks, or all."""

from __future__ import annotations

import math
import re

import keras

from linnet_runtime.toml_settings import unknown_name
from linnet_train.errors import TrainingError
from linnet_train.models import head_layers
from linnet_train.recipes.recipe import Last

# What the names of a block's layers begin with, in the registry's networks. A convolution elsewhere is its own block.
_BLOCK = re.compile(
    r"blocks_\d+_\d+|layer\d+_\d+|conv\d+_block\d+|(?:block|stage)_?\d+|expanded_conv(?:_\d+)?|conv_(?:dw|pw)_\d+"
)


def train_head(model: keras.Model) -> None:
    """Lets the head alone train; frozen batch normalizations keep and use their statistics."""
    _train(model, head_layers(model))


def train_all(model: keras.Model) -> None:
    """Lets every layer train."""
    for layer in model.layers:
        layer.trainable = True


def train_last(model: keras.Model, last: Last) -> None:
    """Lets the head and the last blocks of the backbone train, or all from a layer on.

    Raises:
        TrainingError: more blocks than there are, or a layer that is not there, with the nearest names.
    """
    blocks = blocks_of(model)
    if last.blocks is not None:
        if last.blocks > len(blocks):
            raise TrainingError("recipe $.transfer.blocks", got=last.blocks, expected=f"at most {len(blocks)}")
        _train_blocks(model, last.blocks)
        return
    names = [layer.name for layer in model.layers]
    if last.layer not in names:
        known = [name for block in blocks for name in block]
        raise unknown_name("recipe $.transfer.layer", str(last.layer), known, error=TrainingError)
    _train(model, names[names.index(last.layer) :])


def train_share(model: keras.Model, share: float) -> None:
    """Lets the head and a share of the blocks train, the last ones, 0..1; of the whole network all layers."""
    if share >= 1:
        train_all(model)
    else:
        _train_blocks(model, math.ceil(share * len(blocks_of(model))))


def blocks_of(model: keras.Model) -> list[list[str]]:
    """The blocks of the backbone in order, each the names of its layers with weights to train."""
    blocks: dict[str, list[str]] = {}
    block = ""
    head = set(head_layers(model))
    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if layer.name in head or not (is_norm or hasattr(layer, "kernel")):
            continue
        if found := _BLOCK.match(layer.name):
            # MobileNetV1 numbers the two convolutions of a block, and names each by its kind.
            block = re.sub("_(dw|pw)_", "_", found.group())
        elif not is_norm:
            block = layer.name
        blocks.setdefault(block, []).append(layer.name)
    return list(blocks.values())


def _train_blocks(model: keras.Model, count: int) -> None:
    blocks = blocks_of(model)
    _train(model, [*head_layers(model), *(name for block in blocks[len(blocks) - count :] for name in block)])


def _train(model: keras.Model, names: list[str] | tuple[str, ...]) -> None:
    chosen = set(names)
    for layer in model.layers:
        layer.trainable = layer.name in chosen
