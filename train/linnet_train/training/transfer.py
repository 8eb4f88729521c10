"""Transfer learning: which layers of a network train. The head, the last blocks, or all."""

from __future__ import annotations

import math
import re

import keras

from linnet_runtime.toml_settings import unknown_name
from linnet_train.errors import TrainingError
from linnet_train.models import head_layers
from linnet_train.recipes.recipe import Last

# How the names of a block's layers begin in the registry's networks. Any other convolution is a block by itself.
_BLOCK = re.compile(
    r"blocks_\d+_\d+|layer\d+_\d+|conv\d+_block\d+|(?:block|stage)_?\d+|expanded_conv(?:_\d+)?|conv_(?:dw|pw)_\d+"
)


def train_head(model: keras.Model) -> None:
    """Only the head trains. Frozen batch normalizations keep and use their statistics."""
    _train(model, head_layers(model))


def train_all(model: keras.Model) -> None:
    """All layers train."""
    for layer in model.layers:
        layer.trainable = True


def train_last(model: keras.Model, last: Last) -> None:
    """The head and the last blocks of the backbone train, or all layers from ``last.layer`` on.

    Raises:
        TrainingError: the backbone has fewer blocks, or no layer of that name, with the nearest names.
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
    """The head and the last ``share`` of the blocks train; all layers for a share of 1."""
    if share >= 1:
        train_all(model)
    else:
        _train_blocks(model, math.ceil(share * len(blocks_of(model))))


def blocks_of(model: keras.Model) -> list[list[str]]:
    """The blocks of the backbone in order, each with the names of its layers that have trainable weights."""
    blocks: dict[str, list[str]] = {}
    block = ""
    head = set(head_layers(model))
    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if layer.name in head or not (is_norm or hasattr(layer, "kernel")):
            continue
        if found := _BLOCK.match(layer.name):
            # In MobileNetV1 the depthwise and the pointwise convolution of a block have names of their own.
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
