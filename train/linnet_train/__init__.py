"""Training: a folder of photos to a float model and its quantization-aware twin.

    from linnet_train import Recipe, train          # a run, as `linnet train` makes it
    from linnet_train import calibrate, quantize    # a Keras model of your own to int8

Importing this package imports neither Keras nor a backend: each name is loaded when it is first used. The names below
and ``linnet_train.quantization``, which docs/quantization.md describes, are the public interface. The other modules are
internal, and say so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linnet_train.quantization import calibrate, quantize
    from linnet_train.recipes.recipe import Recipe
    from linnet_train.run import train

__all__ = ["Recipe", "calibrate", "quantize", "train"]

_HOMES = {
    "Recipe": "linnet_train.recipes.recipe",
    "calibrate": "linnet_train.quantization",
    "quantize": "linnet_train.quantization",
    "train": "linnet_train.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "Recipe":  # the others import Keras
        from linnet_train.backend import choose_backend

        choose_backend()
    return getattr(import_module(_HOMES[name]), name)
