"""The small models that the conformance suite opens, the pictures that it shows them, and the logits it expects.

The classes are red, green and blue. The models are 24 pixels high and 32 wide, so that height and width cannot be
taken for each other. ``tests/devices/make_conformance_models.py`` of Linnet's repository makes the files.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from linnet_devices.api import Logits, Model, Pixels

MODELS = Path(__file__).parent / "models"
ENTRIES, EXPECTED, DIGESTS = "models.json", "expected.json", "SHA256SUMS"
HEIGHT, WIDTH = 24, 32
CLASSES = ("red", "green", "blue")


def load_models(folder: Path = MODELS) -> tuple[Model, ...]:
    """The models of the suite; their paths in ``folder`` are absolute."""
    entries = msgspec.json.decode((folder / ENTRIES).read_bytes(), type=tuple[Model, ...])
    return tuple(in_folder(entry, folder) for entry in entries)


def in_folder(model: Model, folder: Path) -> Model:
    """The model with its files in that folder."""
    weights = model.weights and str(folder / Path(model.weights).name)
    return msgspec.structs.replace(model, path=str(folder / Path(model.path).name), weights=weights)


def expected_logits(model: Model, folder: Path = MODELS) -> Logits:
    """float32 [N, 3]: what Keras computes for ``pattern_pictures()``; for an int8 model, with fake quantization."""
    expected = msgspec.json.decode((folder / EXPECTED).read_bytes(), type=dict[str, list[list[float]]])
    return np.array(expected["int8" if model.precision == "int8" else "float"], dtype=np.float32)


def color_pictures() -> Pixels:
    """uint8 [3, 24, 32, 3]: a red, a green and a blue picture, none of them flat."""
    # A Generator's numbers may change with NumPy's version; RandomState's never do.
    pictures = np.random.RandomState(0).randint(0, 96, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)
    for picture, channel in zip(pictures, range(3), strict=True):
        picture[..., channel] += 160
    return pictures


def pattern_pictures() -> Pixels:
    """uint8 [8, 24, 32, 3]: the colors, and gradients and stripes in three directions that wrap at 255."""
    y, x, channel = np.indices((HEIGHT, WIDTH, 3))
    slopes = [(0, 8, 85), (10, 0, 40), (3, 5, 120), (128, 1, 200), (1, 128, 30)]  # a row, a column, a channel
    patterns = [(down * y + across * x + shift * channel) % 256 for down, across, shift in slopes]
    return np.concatenate([color_pictures(), np.array(patterns, dtype=np.uint8)])
