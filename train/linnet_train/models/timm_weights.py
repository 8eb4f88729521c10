"""Reads timm's checkpoints, for networks that keras.applications does not have.

The layers of these networks have the names of timm's modules, with underscores for dots, and timm's padding and
epsilons. So a checkpoint needs only the order of the axes changed in each array.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from keras import layers
from safetensors import SafetensorError
from safetensors.numpy import load_file

from linnet_train.errors import TrainingError
from linnet_train.models.normalization import Normalization
from linnet_train.models.registry import Timm

_log = logging.getLogger(__name__)

_NORM = ("weight", "bias", "running_mean", "running_var")
_CONFIG = "config.json"


def read_timm(
    path: Path, name: str, timm: Timm | None, wanted: list[Any]
) -> tuple[dict[str, list[np.ndarray[Any, Any]]], Normalization]:
    """The weights of the ``wanted`` layers that the checkpoint has, and the normalization of pixels that it expects.

    timm publishes ``config.json`` beside ``model.safetensors``. Checkpoints of one network differ in the normalization.

    Raises:
        TrainingError: timm has no such network, the file is not a safetensors file, or it is of another network.
    """
    if timm is None:
        fits = f"a .weights.h5 or .keras file for {name}"
        raise TrainingError(str(path), got="a checkpoint of timm's", expected=fits)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError) as error:  # the last two: for types that NumPy does not have
        raise TrainingError(str(path), got=str(error), expected=f"a checkpoint of timm's {timm.name}") from error
    modules: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        modules.setdefault(module.replace(".", "_"), {})[kind] = tensor
    arrays = {layer.name: _in_keras_order(layer, modules[layer.name]) for layer in wanted if layer.name in modules}
    return arrays, _pixels(path.with_name(_CONFIG), path, timm)


def _in_keras_order(layer: Any, module: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    if isinstance(layer, layers.BatchNormalization):
        return [module[kind] for kind in _NORM if kind in module]
    kernel = module.get("weight", np.empty(0))
    if kernel.ndim == 4:  # out, in, height, width
        kernel = kernel.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))
    return [kernel, *(module[kind] for kind in ("bias",) if kind in module)]


def _pixels(config: Path, path: Path, timm: Timm) -> Normalization:
    if not config.is_file():
        guess = timm.pixels
        _log.warning("%s: no %s beside it; using mean %s and std %s", path, _CONFIG, guess.mean, guess.std)
        return guess
    try:
        said = json.loads(config.read_bytes())
        architecture, pretrained = said["architecture"], said["pretrained_cfg"]
        pixels = Normalization(tuple(pretrained["mean"]), tuple(pretrained["std"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(str(config), got=repr(error), expected="timm's, with architecture, mean and std") from error
    if architecture != timm.name:
        raise TrainingError(str(config), got=f"architecture {architecture}", expected=timm.name)
    return pixels
