"""Loads weights into a network, from keras.applications or from a file; layers are matched by name."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from linnet_devices.errors import Setting
from linnet_train.errors import TrainingError
from linnet_train.models.registry import Network
from linnet_train.models.timm_weights import read_timm

Arrays = dict[str, list[np.ndarray[Any, Any]]]
"""The weights of each layer, by its name, in the order of ``layer.weights``."""

_OWN_INPUT = "normalise"  # a file with this layer was written by Linnet
_NAMED_MISFITS = 4


def load_weights(
    model: keras.Model, name: str, network: Network, weights: str, alpha: float | None, head: tuple[str, ...]
) -> None:
    """Loads the weights of a model's backbone, and of its head where they fit. The classifier keeps its new weights.

    Args:
        model: a model of ``build_model``.
        name: a key of the registry.
        network: its row in the registry.
        weights: "imagenet", or a .weights.h5, .keras or .safetensors file.
        alpha: the model's width multiplier; None if the network has one width.
        head: the names of the layers behind the backbone; the last one is the classifier.

    Raises:
        TrainingError: a download that fails or does not exist, a file that cannot be read, or one in which a layer of
            the backbone is missing or has another shape. The error names the layers.
    """
    what = name if alpha is None else f"{name} with alpha {alpha:g}"
    source, path, pixels = weights, Path(weights), network.application_pixels
    if weights == "imagenet":
        source, arrays = f"{name} weights imagenet", _download(name, network, alpha, with_head=len(head) > 1)
    elif not path.is_file():
        raise TrainingError(
            Setting("weights"),
            got=f"no file {weights!r}",
            expected="imagenet, none, or a .weights.h5, .keras or .safetensors file",
        )
    elif path.suffix == ".safetensors":
        arrays, pixels = read_timm(path, name, network.timm, [layer for layer in model.layers if layer.weights])
    else:
        arrays = _read_keras(path, what)
    layers = [layer for layer in model.layers if layer.weights]
    _assign([layer for layer in layers if layer.name not in head], arrays, source, what)
    own_head = [layer for layer in layers if layer.name in head[:-1]]
    if all(_shapes(arrays.get(layer.name, ())) == _shapes(layer.weights) for layer in own_head):
        _assign(own_head, arrays, source, what)
    if _OWN_INPUT not in arrays:
        pixels.fold_into(model)


def _assign(layers: list[Any], arrays: Arrays, source: str, what: str) -> None:
    wanted = {layer.name: _shapes(layer.weights) for layer in layers}
    found = {name: _shapes(arrays[name]) if name in arrays else "" for name in wanted}
    misfits = [
        f"{name} {found[name]} (not {shapes})" if name in arrays else f"{name} missing"
        for name, shapes in wanted.items()
        if found[name] != shapes
    ]
    if misfits:
        named, more = misfits[:_NAMED_MISFITS], len(misfits) - _NAMED_MISFITS
        raise TrainingError(
            source,
            got=f"{len(misfits)} of {len(layers)} layers that do not fit: "
            + ", ".join([*named, f"{more} more"] if more > 0 else named),
            expected=f"the backbone of {what}",
        )
    for layer in layers:
        layer.set_weights(arrays[layer.name])


def _shapes(weights: Iterable[Any]) -> str:
    return " ".join("x".join(map(str, weight.shape)) for weight in weights)


def _download(name: str, network: Network, alpha: float | None, *, with_head: bool) -> Arrays:
    timm = network.timm
    if network.application is None:
        raise TrainingError(
            Setting("weights", "imagenet"),
            got=name,
            expected="a network of keras.applications" + (f", or a file of timm's {timm.name}" if timm else ""),
            fix=Setting("weights", placeholder="FILE.safetensors") if timm else Setting("weights", "none"),
        )
    width = {} if alpha is None else {"alpha": alpha}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            donor = network.application(weights="imagenet", include_top=with_head, input_shape=(224, 224, 3), **width)
    except Exception as error:  # Keras raises ValueError for a width, and Exception for a failed download
        alpha_text = "" if alpha is None else f" alpha {alpha:g}"
        raise TrainingError(
            f"{name}{alpha_text} weights imagenet",
            got=_first_sentence(error),
            expected="a download, which keras.applications has for some widths",
            fix=(Setting("weights", placeholder="FILE"), Setting("weights", "none")),
        ) from error
    return {layer.name: layer.get_weights() for layer in donor.layers}


def _read_keras(path: Path, what: str) -> Arrays:
    """The weights in a .weights.h5 or .keras file of Keras 3. No layer of a .keras file is created for that."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _read_hdf5(io.BytesIO(archive.read("model.weights.h5")), path)
        return _read_hdf5(path, path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(str(path), got=_first_sentence(error), expected=f"the backbone of {what}") from error


def _read_hdf5(file: Path | io.BytesIO, path: Path) -> Arrays:
    arrays: Arrays = {}

    def visit(group_path: str, group: Any) -> None:
        if group_path.endswith("vars") and "name" in group.attrs:
            arrays[str(group.attrs["name"])] = [np.asarray(group[key]) for key in sorted(group, key=int)]

    with h5py.File(file) as weights:
        if "layer_names" in weights.attrs:  # Keras 2, whose layers had other names
            raise TrainingError(
                str(path),
                got="a file of Keras 2",
                expected="one of Keras 3",
                fix="load it with its network in Keras, then save_weights('NAME.weights.h5')",
            )
        weights.visititems(visit)
    return arrays


def _first_sentence(error: Exception) -> str:
    return str(error).strip().splitlines()[0].split(". ")[0]
