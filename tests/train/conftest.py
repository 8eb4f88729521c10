"""See tests/networks.py."""

from pathlib import Path

import pytest

from checked_photos import fill
from linnet_runtime.preprocess import Preprocess
from linnet_train.data.dataset import Dataset, load_dataset
from networks import easy_photos, program, pytest_itemcollected, tiny_run  # noqa: F401  # fixtures and a hook


@pytest.fixture(scope="session")
def easy_dataset(easy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:  # noqa: F811  # the fixture
    """The easy photos as the tiny network takes them."""
    cache = tmp_path_factory.mktemp("cache") / "pixels.npy"
    return load_dataset(easy_photos, Preprocess(height=32, width=32), 0, cache, lambda done, total: None)


# For the data check.


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """DATA with nothing wrong: 20 photos in each of two classes."""
    for i, label in enumerate(("nut", "washer")):
        fill(tmp_path / "photos" / label, 100 * i)
    return tmp_path / "photos"


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """DATA/{train,val,test} with nothing wrong."""
    for i, part in enumerate(("train", "val", "test")):
        for j, label in enumerate(("nut", "washer")):
            fill(tmp_path / "divided" / part / label, 1000 * i + 100 * j)
    return tmp_path / "divided"
