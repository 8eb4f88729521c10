"""``linnet explain``: maps of what a label depends on."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.small_bundle import LABELS, SIDE
from linnet_runtime.classifier import Classifier
from linnet_runtime.explain.maps import GRID, Explained, explain, overlay
from program import linnet, one_line_error


def picture(label: int = 1) -> np.ndarray:
    """The simulated device's output of a class is the mean of its vertical strip."""
    found = np.full((SIDE, SIDE, 3), 60, np.uint8)
    found[:, label * SIDE // 3 : (label + 1) * SIDE // 3] = 220
    return found


class TestMaps:
    def test_occlusion_shows_the_part_that_the_label_depends_on(self, small_bundle: Path) -> None:
        with Classifier.open(small_bundle, "fake") as classifier:
            found = explain(classifier, picture())
        assert (found.method, found.label, found.map.shape) == ("occlusion", LABELS[1], (GRID, GRID))
        columns = found.map.mean(axis=0)
        edges = np.linspace(0, SIDE, GRID + 1).round()
        inside = (edges[:-1] >= SIDE // 3) & (edges[1:] <= 2 * SIDE // 3)
        outside = (edges[1:] <= SIDE // 3) | (edges[:-1] >= 2 * SIDE // 3)
        assert columns[inside].min() > 0
        np.testing.assert_allclose(columns[outside], 0, atol=1e-4)

    def test_the_logits_that_the_parts_take_away_are_those_of_the_whole(self, small_bundle: Path) -> None:
        """The simulated device is linear: all parts together take away what covering everything does."""
        with Classifier.open(small_bundle, "fake") as classifier:
            found = explain(classifier, picture())
            gray = classifier.logits(np.full((1, SIDE, SIDE, 3), 128, np.uint8))[0, 1]
        assert found.map.sum() == pytest.approx(float(found.classification.logits[1] - gray), abs=1e-2)

    def test_the_overlay_colors_the_strongest_place_and_leaves_the_others(self, small_bundle: Path) -> None:
        with Classifier.open(small_bundle, "fake") as classifier:
            found = explain(classifier, picture())
        strongest = np.zeros((4, 4), np.float32)
        strongest[0, 3] = 2.0
        strongest[3, 0] = -5.0  # what speaks against the label is not colored
        shown = overlay(Explained(found.pixels, found.classification, found.label, found.method, strongest), 120)
        plain = cv2.resize(found.pixels[..., ::-1], (120, 120), interpolation=cv2.INTER_CUBIC)
        changed = np.abs(shown.astype(int) - plain).sum(axis=2)
        assert shown.shape == (120, 120, 3)
        assert changed[8, 112] > 100
        assert changed[100:, :20].max() <= 3


class TestCommand:
    def test_json_and_page(self, small_bundle: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), picture(0))
        cv2.imwrite(str(tmp_path / "b.png"), picture(2))
        page = tmp_path / "page.html"
        done = linnet(
            *("explain", small_bundle, tmp_path / "a.png", tmp_path / "b.png"),
            *("--device", "fake", "--out", page, "--json"),
        )
        rows = json.loads(done.stdout)["pictures"]
        assert [row["label"] for row in rows] == [LABELS[0], LABELS[2]]
        assert rows[0]["map"]["method"] == "occlusion"
        assert np.array(rows[0]["map"]["logits"]).shape == (GRID, GRID)
        html = page.read_text()
        assert html.count("<img") == 4
        assert "covered with gray" in html
        assert "src=" not in html.replace('src="data:', "")

    def test_a_file_that_cannot_be_read_does_not_take_the_others_with_it(
        self, small_bundle: Path, tmp_path: Path
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), picture(0))
        (tmp_path / "b.png").write_bytes(b"no picture")
        done = linnet(
            *("explain", small_bundle, tmp_path / "b.png", tmp_path / "a.png"),
            *("--device", "fake", "--out", tmp_path / "page.html"),
            status=1,
        )
        assert "1 of 2 files unreadable" in one_line_error(done)
        assert (tmp_path / "page.html").read_text().count("<img") == 2

    def test_without_a_page_it_is_one_line(self, small_bundle: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), picture(0))
        assert "--out" in one_line_error(linnet("explain", small_bundle, tmp_path / "a.png", status=1))
