"""The package as Python code uses it: `from linnet_train import Recipe, calibrate, quantize, train`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import linnet_train
from linnet_runtime.run_files import load_metrics
from linnet_train import Recipe, calibrate, quantize, train
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Split

LIGHT = """
import sys
import linnet_train
from linnet_train import Recipe
assert Recipe(data="photos").model == "mobilenet_v2"
print(*sorted({"keras", "tensorflow", "jax", "sklearn", "scipy", "matplotlib", "cv2"} & set(sys.modules)))
"""


def test_importing_the_package_and_its_recipe_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_found_and_another_one_is_not() -> None:
    assert linnet_train.__all__ == sorted(linnet_train.__all__)
    assert all(getattr(linnet_train, name) is not None for name in linnet_train.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'quantise'"):
        linnet_train.quantise  # noqa: B018  # the lookup is what is tested


def test_a_recipe_trains_to_a_run(easy_photos: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        data=str(easy_photos), model="tiny", alpha=1.0, size=32, weights="none", epochs=1, qat_epochs=0, batch_size=9
    )
    metrics = train(recipe, tmp_path / "run")
    assert metrics == load_metrics(tmp_path / "run")
    assert metrics.splits == {"train": 36, "val": 12, "test": 12}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"size": 8}, r"recipe \$.size: got 8, expected"),
        ({"split": Split(fold="each")}, r"recipe \$.split.fold: got each"),
    ],
)
def test_a_recipe_is_checked_before_anything_is_written(
    settings: dict[str, object], line: str, easy_photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=line):
        train(Recipe(data=str(easy_photos), **settings), tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_model_of_ones_own_is_quantized_by_calibration_alone() -> None:
    pixels = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    model = keras.Model(pixels, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    photos = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
    int8 = quantize(model)
    calibrate(int8, photos)
    logits, rounded = model.predict(photos, verbose=0), int8.predict(photos, verbose=0)
    assert np.abs(logits - rounded).max() < 0.05 * np.ptp(logits) + 0.05
