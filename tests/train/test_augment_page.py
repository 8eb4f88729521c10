"""The page of augmented photos that a run has before its training begins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from linnet_runtime.photos.listing import Photos
from linnet_train.augment.page import VERSIONS, write_augmentation_page
from linnet_train.augment.settings import Augmentation
from train.augmented import flat, noise


class TestPage:
    def write(self, path: Path, **settings: Any) -> str:
        photos = Photos(np.concatenate([flat(10, 250), noise(2)]), np.array([0, 1, 2, 0]))
        write_augmentation_page(path, Augmentation(**settings), photos, ("dark", "light", "<b>"), 0)
        return path.read_text()

    def test_it_shows_every_photo_and_its_versions_without_any_other_file(self, tmp_path: Path) -> None:
        page = self.write(tmp_path / "page.html", view="overhead", rotate=10.0)
        assert page.count("data:image/jpeg;base64,") == 4 * (1 + VERSIONS)
        assert "http" not in page
        assert "&lt;b&gt;" in page, "a class's name is no markup"
        for setting in ("flip <code>any", "shift <code>0.08", "rotate <code>10.0"):
            assert setting in page.replace("&nbsp;", " ")
        assert "mixup" not in page

    def test_mixed_photos_show_their_soft_labels(self, tmp_path: Path) -> None:
        page = self.write(tmp_path / "page.html", view="none", mixup=5.0)
        shares = re.findall(r">dark (\d+)\u00a0%, light (\d+)\u00a0%<|>light (\d+)\u00a0%, dark (\d+)\u00a0%<", page)
        assert shares
        for share in shares:
            first, second = (int(value) for value in share if value)
            assert first >= second
            assert 99 <= first + second <= 101

    def test_a_run_has_it_before_training_begins(self, tiny_run: Path) -> None:
        page = tiny_run / "augmentation.html"
        assert page.stat().st_mtime <= (tiny_run / "float.keras").stat().st_mtime
        assert "horizontal" in page.read_text()
