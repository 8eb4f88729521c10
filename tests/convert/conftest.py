"""What the conversion's tests share, beside tests/networks.py."""

from pathlib import Path

import keras
import onnx
import pytest
from keras import layers

from foreign import mobile
from networks import easy_photos, program, pytest_itemcollected, tiny_run  # noqa: F401  # fixtures and a hook


@pytest.fixture(scope="session")
def whole_models(tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path) -> dict[str, Path]:
    """A whole model of each format; copy what a test changes."""
    folder = tmp_path_factory.mktemp("whole")
    network, scores = mobile()
    onnx.save(network.model(scores), folder / "model.onnx")
    pixels = keras.Input((32, 32, 3))
    keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(pixels))).save(folder / "model.keras")
    return {
        "tflite": bundle_folder / "model.int8.tflite",
        "onnx": folder / "model.onnx",
        "openvino": bundle_folder / "openvino" / "int8.xml",
        "keras": folder / "model.keras",
    }


@pytest.fixture(scope="session")
def three_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of labels that they need where they do not hold them."""
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("a\nb\nc\n")
    return path
