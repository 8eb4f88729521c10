"""``linnet stress``: the corruptions, what is measured with them, and the command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.small_bundle import LABELS, SIDE
from linnet_runtime.cli import main
from linnet_runtime.photos.listing import Photos
from linnet_runtime.stress.corruptions import CORRUPTIONS, SEVERITIES, Corruption, corrupt
from linnet_runtime.stress.measure import Run, measure_stress
from program import linnet, one_line_error

Pixels = NDArray[np.uint8]


def pictures(height: int = 64, width: int = 80) -> Pixels:
    """Two photos with an edge, a gradient and a small thing in them."""
    rng = np.random.default_rng(1)
    photos = np.empty((2, height, width, 3), np.uint8)
    for photo in photos:
        photo[:] = np.linspace(40, 190, width)[:, None] + rng.integers(-20, 20, 3)
        cv2.circle(photo, (width // 3, height // 2), height // 5, rng.integers(0, 255, 3).tolist(), -1)
    return photos


def named(name: str) -> Corruption:
    return next(corruption for corruption in CORRUPTIONS if corruption.name == name)


def distance(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other).mean())


class TestCorruptions:
    def test_there_are_fifteen(self) -> None:
        assert len({corruption.name for corruption in CORRUPTIONS}) == 15

    @pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
    def test_a_corruption_changes_photos_the_more_the_severer_it_is(self, corruption: Corruption) -> None:
        photos = pictures()
        found = [corrupt(photos, corruption, severity, 0) for severity in SEVERITIES]
        assert all(pixels.shape == photos.shape and pixels.dtype == np.uint8 for pixels in found)
        assert distance(found[0], photos) > 0.1
        assert distance(found[4], photos) > distance(found[0], photos)

    @pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
    def test_the_same_seed_gives_the_same_pixels(self, corruption: Corruption) -> None:
        photos = pictures()
        np.testing.assert_array_equal(corrupt(photos, corruption, 3, 7), corrupt(photos, corruption, 3, 7))

    def test_another_seed_gives_other_noise(self) -> None:
        photos = pictures()
        assert distance(corrupt(photos, named("noise"), 3, 0), corrupt(photos, named("noise"), 3, 1)) > 1

    def test_the_photos_themselves_stay_as_they_are(self) -> None:
        photos = pictures()
        before = photos.copy()
        for corruption in CORRUPTIONS:
            corrupt(photos, corruption, 5, 0)
        np.testing.assert_array_equal(photos, before)

    def test_noise_has_the_standard_deviation_that_it_states(self) -> None:
        gray = np.full((1, 100, 100, 3), 128, np.uint8)
        noisy = corrupt(gray, named("noise"), 2, 0).astype(float)
        assert (noisy - 128).std() / 255 == pytest.approx(0.06, rel=0.05)

    def test_a_shift_moves_the_picture_as_far_as_it_states(self) -> None:
        dot = np.zeros((1, 101, 101, 3), np.uint8)
        dot[0, 48:53, 48:53] = 255
        moved = corrupt(dot, named("shift"), 3, 0)[0, ..., 0].astype(float)
        rows, columns = np.indices(moved.shape)
        center = np.array([(rows * moved).sum(), (columns * moved).sum()]) / moved.sum()
        assert np.hypot(*(center - 50)) == pytest.approx(0.15 * 101, abs=0.5)

    def test_occlusion_covers_the_share_that_it_states(self) -> None:
        photos = np.zeros((20, 100, 100, 3), np.uint8)
        covered = corrupt(photos, named("occlusion"), 4, 0).max(axis=-1) > 0
        assert covered.mean() == pytest.approx(0.27, abs=0.03)

    def test_motion_blurs_along_one_direction_only(self) -> None:
        dot = np.zeros((1, 101, 101, 3), np.uint8)
        dot[0, 50, 50] = 255
        line = corrupt(dot * 1, named("motion"), 3, 0)[0, ..., 0]
        spread = np.linalg.eigvalsh(np.cov(np.argwhere(line > 0).T))
        assert spread[1] > 10 * spread[0]

    def test_every_advice_is_a_setting_of_training(self) -> None:
        settings = pytest.importorskip("linnet_train.augment.settings").Augmentation.__struct_fields__
        advised = [corruption.advice for corruption in CORRUPTIONS if corruption.advice]
        assert {advice.partition("=")[0].removeprefix("augment.") for advice in advised} <= set(settings)


def by_brightness(pixels: Pixels) -> NDArray[np.float32]:
    """A model of two classes, dark and bright: what makes photos brighter breaks it."""
    mean = pixels.mean(axis=(1, 2, 3), dtype=np.float32)
    return np.stack([128 - mean, mean - 128], axis=1)


def dark_and_bright(n: int = 60) -> Photos:
    rng = np.random.default_rng(2)
    labels = np.arange(n) % 2
    gray = np.where(labels == 0, 80, 200)[:, None, None, None]
    return Photos(np.clip(gray + rng.normal(0, 8, (n, 16, 16, 3)), 0, 255).astype(np.uint8), labels)


class TestMeasurement:
    def test_the_first_to_matter_is_the_one_at_the_lowest_severity(self) -> None:
        found = measure_stress({"int8": by_brightness}, dark_and_bright(), seed=0)
        assert found.clean["int8"].value == 1.0
        rows = {row.name: row for row in found.corruptions}
        assert [cell.accuracy["int8"].value for cell in rows["brightness"].cells] == [1.0, 0.5, 0.5, 0.5, 0.5]
        assert rows["rotation"].mean["int8"] == 1.0
        assert found.first is not None
        assert found.first.change.high < 0
        earlier = [
            cell
            for row in found.corruptions
            for cell in row.cells
            if cell.severity < found.first.severity and cell.change["int8"].high < 0
        ]
        assert not earlier

    def test_each_model_sees_the_same_photos(self) -> None:
        seen: dict[str, list[bytes]] = {"int8": [], "float": []}

        def noting(name: str) -> Run:
            def run(pixels: Pixels) -> NDArray[np.float32]:
                seen[name].append(pixels.tobytes())
                return by_brightness(pixels)

            return run

        found = measure_stress({name: noting(name) for name in seen}, dark_and_bright(10), seed=0)
        assert seen["int8"] == seen["float"]
        assert found.models == ("int8", "float")
        assert found.mean["int8"] == found.mean["float"]

    def test_a_model_that_nothing_breaks_has_no_first(self) -> None:
        photos = dark_and_bright(20)
        constant = Photos(photos.pixels, np.zeros(20, np.int64))
        found = measure_stress({"int8": lambda p: np.tile(np.float32([1, 0]), (len(p), 1))}, constant, seed=0)
        assert found.first is None
        assert found.mean["int8"] == 1.0


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    """Photos that the simulated device labels rightly: the strip of the class is bright."""
    rng = np.random.default_rng(0)
    for i, label in enumerate(LABELS):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for n in range(8):
            photo = rng.integers(0, 90, (SIDE, SIDE, 3), np.uint8)
            photo[:, i * SIDE // 3 : (i + 1) * SIDE // 3] += 120
            cv2.imwrite(str(tmp_path / "photos" / label / f"{n}.png"), photo)
    return tmp_path / "photos"


class TestCommand:
    def stress(
        self, capfd: pytest.CaptureFixture[str], *arguments: object, status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        assert main(["stress", *map(str, arguments)]) == status
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    def test_json_has_the_figures_and_the_page_is_one_file(
        self, small_bundle: Path, strips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        page = tmp_path / "stress.html"
        done = self.stress(
            capfd, small_bundle, "--data", strips, "--device", "fake", "--photos", 20, "--page", page, "--json"
        )
        said = json.loads(done.stdout)
        assert (said["n"], said["models"], said["device"], said["seed"]) == (20, ["int8"], "fake", 0)
        assert said["clean"]["int8"]["value"] == 1.0
        assert [row["name"] for row in said["corruptions"]] == [corruption.name for corruption in CORRUPTIONS]
        assert [cell["severity"] for cell in said["corruptions"][0]["cells"]] == list(SEVERITIES)
        assert 0 < said["mean"]["int8"] < 1
        html = page.read_text()
        assert html.count("<svg") == 15
        assert "http" not in html.replace("http-equiv", "")

    def test_the_table_ends_with_the_first_to_matter(
        self, small_bundle: Path, strips: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        done = self.stress(capfd, small_bundle, "--data", strips, "--device", "fake")
        lines = done.stdout.strip().splitlines()
        assert any(line.startswith("rolling exposure") for line in lines)
        assert "first to matter" in lines[-1] or "No corruption" in lines[-1]

    def test_without_photos_it_is_one_line(self, small_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
        line = one_line_error(self.stress(capfd, small_bundle, status=1))
        assert "--data" in line


def test_it_judges_the_bundle_in_int8_beside_float(bundle_folder: Path, run_folder: Path) -> None:
    done = linnet("stress", bundle_folder, "--data", run_folder, "--photos", 12, "--device", "cpu:litert", "--json")
    said = json.loads(done.stdout)
    assert said["models"] == ["int8", "float"]
    assert said["clean"]["int8"]["value"] >= 0.9
