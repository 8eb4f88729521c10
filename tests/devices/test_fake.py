"""The simulated device: its outputs can be computed beforehand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from linnet_devices import Model, OpenOptions, load_device
from linnet_devices.api import Logits, Pixels
from linnet_devices.testing.samples import HEIGHT, WIDTH, load_models

FLOAT = next(model for model in load_models() if model.precision == "float32")


def run(model: Model, pixels: Pixels) -> Logits:
    with load_device("fake").open(model, OpenOptions()) as session:
        return session.run(pixels)


@pytest.mark.parametrize("strip", range(4))
def test_the_brightest_vertical_strip_is_the_class(strip: int) -> None:
    four_classes = msgspec.structs.replace(FLOAT, output=msgspec.structs.replace(FLOAT.output, shape=(1, 4)))
    pixels = np.full((1, HEIGHT, WIDTH, 3), 10, np.uint8)
    pixels[:, :, strip * WIDTH // 4 : (strip + 1) * WIDTH // 4] = 200
    expected = [200.0 if k == strip else 10.0 for k in range(4)]
    np.testing.assert_array_equal(run(four_classes, pixels), [expected])


def test_classes_beyond_the_pictures_columns_get_zero() -> None:
    many = msgspec.structs.replace(FLOAT, output=msgspec.structs.replace(FLOAT.output, shape=(1, WIDTH + 2)))
    logits = run(many, np.full((1, HEIGHT, WIDTH, 3), 10, np.uint8))
    np.testing.assert_array_equal(logits, [[10.0] * WIDTH + [0.0] * 2])


def test_it_says_that_it_is_simulated() -> None:
    assert load_device("fake").probe().details == {"engine": "simulated"}


def test_it_opens_a_model_whose_file_is_not_there() -> None:
    nowhere = msgspec.structs.replace(FLOAT, path="nowhere.tflite")
    assert run(nowhere, np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)).shape == (2, 3)
