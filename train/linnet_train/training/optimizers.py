"""Keras's optimizers by name."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from linnet_runtime.toml_settings import unknown_name
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Optimizer

# The recipe says these elsewhere: the rate changes with the schedule, and the average has to follow the statistics of
# batch normalization too, which Keras's does not.
_ELSEWHERE = {
    "learning_rate": "learning_rate, a key of its own",
    "use_ema": "regularization.ema",
    "ema_momentum": "regularization.ema",
    "ema_overwrite_frequency": "regularization.ema",
}
_TO_SKIP = {"self", "name", "kwargs", *_ELSEWHERE}


def optimizer_classes() -> dict[str, Any]:
    """Keras's optimizers by their names, but for those that wrap others."""
    base = keras.optimizers.Optimizer
    kinds = {name: kind for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, base) and not _wraps_others(kind)}


def _wraps_others(kind: Any) -> bool:
    """Whether it wants more than numbers: another optimizer, or, as the base class, to be subclassed."""
    parameters = inspect.signature(kind).parameters.values()
    return any(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in parameters)


def build_optimizer(table: Optimizer) -> Any:
    """The optimizer of a recipe: ``name``, in any case, and its arguments.

    Raises:
        TrainingError: a name that Keras does not have or an argument that the optimizer does not take, with the nearest
            ones; or a value that it refuses.
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
