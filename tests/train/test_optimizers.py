"""Any optimizer of Keras's is built by its name, and what does not fit gets one line with the nearest names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Optimizer
from linnet_train.training.optimizers import build_optimizer, optimizer_classes

MENTIONED = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Lion")


def test_the_classics_are_there_and_wrappers_are_not() -> None:
    assert set(MENTIONED) <= set(optimizer_classes())
    assert not {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"} & set(optimizer_classes())


@pytest.mark.parametrize("name", optimizer_classes())
def test_each_of_them_learns(name: str) -> None:
    optimizer = build_optimizer({"name": name.lower()})
    assert type(optimizer).__name__ == name
    weight = keras.Variable(np.full((3, 2), 2.0, np.float32))
    optimizer.build([weight])
    optimizer.learning_rate = 0.01
    for _ in range(5):
        optimizer.apply([2 * weight.value], [weight])
    assert (np.asarray(weight) < 2.0).all()


def test_arguments_reach_the_optimizer() -> None:
    optimizer = build_optimizer({"name": "SGD", "momentum": 0.9, "nesterov": True, "clipnorm": 1, "weight_decay": 1e-4})
    config = optimizer.get_config()
    assert (config["momentum"], config["nesterov"], config["clipnorm"], config["weight_decay"]) == (0.9, True, 1, 1e-4)


WRONG: dict[str, tuple[Optimizer, str]] = {
    "name": ({"name": "AdmW"}, "recipe $.optimizer.name: got 'AdmW', expected one of AdamW"),
    "nothing near": ({"name": "qqqq"}, "expected one of Adadelta, "),
    "argument": ({"name": "SGD", "momentun": 0.9}, "recipe $.optimizer, SGD: got 'momentun', expected momentum"),
    "another's argument": ({"name": "SGD", "beta_1": 0.9}, "recipe $.optimizer, SGD: got 'beta_1', expected one of "),
    "value": ({"name": "SGD", "momentum": 2.0}, "recipe $.optimizer, SGD: got `momentum` must be a float between"),
    "rate": ({"name": "SGD", "learning_rate": 1.0}, "$.optimizer.learning_rate: expected the key learning_rate of the"),
    "average": ({"name": "SGD", "use_ema": True}, "recipe $.optimizer.use_ema: expected the key regularization.ema"),
}


@pytest.mark.parametrize(("table", "says"), WRONG.values(), ids=list(WRONG))
def test_what_does_not_fit_gets_one_line(table: Optimizer, says: str) -> None:
    with pytest.raises(TrainingError) as caught:
        build_optimizer(table)
    assert says in str(caught.value)
