"""The learning rate of each step follows from the recipe and the epochs so far, and is the one that Keras would set."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from linnet_train.recipes.recipe import Gradual, Recipe
from linnet_train.recipes.schedules import Constant, Cosine, Exponential, Plateau, Schedule, Step
from linnet_train.training.phases import phases_of

RATE, EPOCHS, STEPS = 0.1, 10, 7
DONE = np.arange(EPOCHS * STEPS) / STEPS
KERAS = keras.optimizers.schedules

SAME_AS_KERAS = {
    "constant": (Constant(), lambda step: RATE),
    "step": (Step(every=4, factor=0.5), KERAS.ExponentialDecay(RATE, 4 * STEPS, 0.5, staircase=True)),
    "exponential": (Exponential(factor=0.8), KERAS.ExponentialDecay(RATE, STEPS, 0.8)),
    "cosine": (Cosine(warm_up=0.0, final=0.01), KERAS.CosineDecay(RATE, EPOCHS * STEPS, alpha=0.01)),
    "cosine with warm-up": (
        Cosine(warm_up=0.2),
        KERAS.CosineDecay(0.0, 8 * STEPS, warmup_target=RATE, warmup_steps=2 * STEPS),
    ),
}


@pytest.mark.parametrize(("schedule", "theirs"), SAME_AS_KERAS.values(), ids=list(SAME_AS_KERAS))
def test_each_step_has_the_rate_that_keras_would_give_it(schedule: Schedule, theirs: object) -> None:
    mine = [RATE * schedule.share_at(done, EPOCHS, []) for done in DONE]
    np.testing.assert_allclose(mine, [float(theirs(step)) for step in range(len(DONE))], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("schedule", [Constant(warm_up=0.5), Step(every=1, warm_up=0.5), Plateau(warm_up=0.5)])
def test_every_schedule_warms_up(schedule: Schedule) -> None:
    shares = [schedule.share_at(done, 4, []) for done in (0.0, 0.5, 1.0, 1.5)]
    np.testing.assert_allclose(shares, [0.0, 0.25, 0.5, 0.75])


def test_a_warm_up_may_be_all_there_is() -> None:
    assert Cosine(warm_up=1.0).share_at(4.0, 4, []) == 0.0


def test_plateau_waits_as_keras_s_does() -> None:
    losses = [1.0, 0.9, 0.9, 0.89999, 0.95, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
    settings = {"factor": 0.1, "patience": 3, "min_delta": 1e-4}
    theirs = keras.callbacks.ReduceLROnPlateau(**settings, min_lr=RATE * 0.005)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    theirs.set_model(model)
    theirs.on_train_begin()
    mine = Plateau(**settings, final=0.005)
    for epoch in range(len(losses)):
        theirs.on_epoch_end(epoch, {"val_loss": losses[epoch]})
        rate = RATE * mine.share_at(epoch + 1.0, len(losses), losses[: epoch + 1])
        assert rate == pytest.approx(float(model.optimizer.learning_rate), rel=1e-5), epoch
    assert rate == pytest.approx(RATE * 0.005), "it has fallen to its floor"


def test_the_stages_of_gradual_unfreezing_share_one_schedule() -> None:
    gradual = Recipe(data="", epochs=7, transfer=Gradual(stages=3), weights="imagenet", qat_epochs=0, head_epochs=1)
    _, *stages = phases_of(gradual)
    whole = phases_of(Recipe(data="", epochs=7, qat_epochs=0))[-1]
    assert [(stage.name, stage.epochs) for stage in stages] == [("last 1/3", 2), ("last 2/3", 2), ("whole", 3)]
    rates = [stage.rate_at(epoch + 0.5, []) for stage in stages for epoch in range(stage.epochs)]
    assert rates == [whole.rate_at(epoch + 0.5, []) for epoch in range(7)]
