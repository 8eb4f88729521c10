"""A student learns from a teacher's probabilities about the very picture that it sees itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import log_softmax, softmax

from linnet_train.augment.settings import Augmentation
from linnet_train.data.dataset import Dataset
from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from linnet_train.recipes.recipe import Distillation, Recipe
from linnet_train.training.distillation import DistillationLoss, load_teacher
from linnet_train.training.phases import phases_of
from linnet_train.training.trainer import build_trainer
from networks import TINY
from program import Program

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
LOGITS = np.random.default_rng(1).normal(0, 2, (6, 3)).astype(np.float32)


def teacher(*, probabilities: bool = False, size: int = 32, classes: int = 3, dtype: str = "uint8") -> keras.Model:
    """A linear model of the mean colour."""
    pixels = keras.Input((size, size, 3), dtype=dtype)
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    x = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=20.0, seed=0))(x)
    return keras.Model(pixels, layers.Softmax()(x) if probabilities else x)


@pytest.mark.parametrize("probabilities", [False, True], ids=["logits", "probabilities"])
def test_the_loss_is_the_divergence_of_softened_probabilities(probabilities: bool) -> None:
    settings = Distillation(teacher="", temperature=3.0, weight=0.7)
    layer = DistillationLoss(teacher(probabilities=probabilities), settings)
    assert np.array_equal(np.asarray(layer(LOGITS, PIXELS)), LOGITS)
    taught = np.asarray(teacher()(PIXELS)) / 3
    divergence = (softmax(taught, axis=1) * (log_softmax(taught, axis=1) - log_softmax(LOGITS / 3, axis=1))).sum(axis=1)
    assert float(layer.losses[0]) == pytest.approx(0.7 * 9 * divergence.mean(), rel=1e-3)


def test_the_teacher_is_no_part_of_the_student() -> None:
    layer = DistillationLoss(teacher(), Distillation(teacher=""))
    layer(LOGITS, PIXELS)
    assert not layer.variables, "nothing of it trains, or goes into each checkpoint"


def test_the_teacher_sees_the_very_picture_that_the_student_sees(easy_dataset: Dataset) -> None:
    """A teacher that is the student agrees with it, however the photos are turned and mixed."""
    settings = Distillation(teacher="", weight=1.0)
    augment = Augmentation(view="overhead", cutmix=1.0)
    recipe = Recipe(data="", model="lenet5", size=32, weights="none", distillation=settings, augment=augment)
    student, same = (build_model("lenet5", classes=3, size=32) for _ in range(2))
    same.set_weights(student.get_weights())
    trainer = build_trainer(recipe, phases_of(recipe)[0], student, same, easy_dataset).model
    logits, _ = trainer(PIXELS, training=True)
    assert not np.allclose(np.asarray(logits), np.asarray(student(PIXELS)), atol=1e-3), "they are other pictures"
    assert float(trainer.losses[0]) == pytest.approx(0.0, abs=1e-5)


def test_a_run_learns_from_its_teacher_alone(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    """A teacher that calls blue what is red, and the whole loss: the student does so too."""
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    logits = layers.Dense(3, name="logits")(x)
    wrong = keras.Model(pixels, logits)  # classes: blue, green, red; channels: red, green, blue
    wrong.get_layer("logits").set_weights([30 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    wrong.save(tmp_path / "teacher.keras")
    teach = {"teacher": f'"{tmp_path / "teacher.keras"}"', "weight": 1.0, "temperature": 2.0}
    settings = [argument for key, value in teach.items() for argument in ("--set", f"distillation.{key}={value}")]
    program("train", easy_photos, "--out", tmp_path / "run", *TINY, "--epochs", 6, "--qat-epochs", 0, *settings)
    student = keras.saving.load_model(tmp_path / "run" / "float.keras", compile=False)
    solid = np.zeros((3, 32, 32, 3), np.uint8)
    solid[0, ..., 0] = solid[1, ..., 1] = solid[2, ..., 2] = 200  # red, green, blue
    solid[solid == 0] = 60
    assert np.asarray(student(solid)).argmax(axis=1).tolist() == [0, 1, 2]


def save(model: keras.Model) -> Callable[[Path], None]:
    return lambda path: model.save(path)


def float_numbers() -> keras.Model:
    pixels = keras.Input((32, 32, 3))
    return keras.Model(pixels, layers.Dense(3)(layers.Flatten()(pixels)))


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "teacher.keras: File not found"),
    "no model": (lambda path: path.write_bytes(b"PK nothing"), "expected a .keras file"),
    "size": (save(teacher(size=48)), "got a model with input (None, 48, 48, 3), expected (None, 32, 32, 3)"),
    "classes": (save(teacher(classes=5)), "got a model with output (None, 5), expected (None, 3)"),
    "numbers": (save(float_numbers()), "got a model with float input and no layer that scales pixels"),
}


@pytest.mark.parametrize(("write", "says"), WRONG.values(), ids=list(WRONG))
def test_a_teacher_that_does_not_fit_gets_one_line(write: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    write(tmp_path / "teacher.keras")
    with pytest.raises(TrainingError) as caught:
        load_teacher(tmp_path / "teacher.keras", 32, 3)
    assert str(caught.value).startswith("recipe $.distillation.teacher: got ")
    assert says in str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_teacher_of_pixels_fits(dtype: str, tmp_path: Path) -> None:
    teacher(dtype=dtype).save(tmp_path / "teacher.keras")
    loaded = load_teacher(tmp_path / "teacher.keras", 32, 3)
    np.testing.assert_allclose(np.asarray(loaded(PIXELS)), np.asarray(teacher()(PIXELS)), rtol=1e-4)
