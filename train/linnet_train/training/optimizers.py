"""Keras's optimizers by name."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from linnet_runtime.toml_settings import unknown_name
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Optimizer

# Arguments that are other keys of a recipe. The schedule sets the learning rate, and Keras's average leaves out the
# statistics of batch normalizations.
_ELSEWHERE = {
    "learning_rate": "the key learning_rate of the recipe",
    "use_ema": "the key regularization.ema",
    "ema_momentum": "the key regularization.ema",
    "ema_overwrite_frequency": "the key regularization.ema",
}
_TO_SKIP = {"self", "name", "kwargs", *_ELSEWHERE}


def optimizer_classes() -> dict[str, Any]:
    """Keras's optimizers by name, except those that wrap another optimizer."""
    base = keras.optimizers.Optimizer
    kinds = {name: kind for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, base) and not _wraps_others(kind)}


def _wraps_others(kind: Any) -> bool:
    """Whether a class has an argument without a default: another optimizer, or the name that a subclass gives."""
    parameters = inspect.signature(kind).parameters.values()
    return any(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in parameters)


def build_optimizer(table: Optimizer) -> Any:
    """The optimizer of a recipe: its ``name``, in upper or lower case, and its arguments.

    Raises:
        TrainingError: Keras has no optimizer of that name, or the optimizer has no such argument, with the nearest
            names; or it refuses a value.
    """
    kinds = optimizer_classes()
    asked = str(table.get("name"))
    name = next((name for name in kinds if name.lower() == asked.lower()), None)
    if name is None:
        raise unknown_name("recipe $.optimizer.name", asked, kinds, error=TrainingError)
    arguments = {key: value for key, value in table.items() if key != "name"}
    taken = set(inspect.signature(kinds[name].__init__).parameters) - _TO_SKIP
    for key in arguments:
        if key in _ELSEWHERE:
            raise TrainingError(f"recipe $.optimizer.{key}", expected=_ELSEWHERE[key])
        if key not in taken:
            raise unknown_name(f"recipe $.optimizer, {name}", key, taken, error=TrainingError)
    try:
        return kinds[name](**arguments)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"recipe $.optimizer, {name}", got=str(error).splitlines()[0]) from error
