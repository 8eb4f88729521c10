"""Pictures that are none of the labels: the scores, the threshold, and what every way out says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edge_runtime.small_bundle import LABELS, SIDE, edit_manifest, manifest_of
from linnet_runtime.bundle import BundleError, open_bundle
from linnet_runtime.bundle_files import write_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.decisions.decider import Decider
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.sources.api import Frame
from linnet_runtime.unknown import Unknown, threshold_for, unknown_scores
from program import linnet, one_line_error

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 4)).astype(np.float32)
RULE = Unknown(score="energy", threshold=-150.0, refused=0.05, n=100)


class TestScores:
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
    def test_energy_is_the_logarithm_of_the_sum_of_exponentials(self, temperature: float) -> None:
        z = LOGITS.astype(np.float64)
        expected = -temperature * np.log(np.exp(z / temperature).sum(axis=1))
        np.testing.assert_allclose(unknown_scores("energy", LOGITS, temperature), expected, rtol=1e-5)

    def test_large_logits_do_not_overflow(self) -> None:
        found = unknown_scores("energy", np.float32([[1e4, 0], [-1e4, -1e4]]), 0.01)
        np.testing.assert_allclose(found, [-1e4, 1e4], rtol=1e-5)

    def test_a_probable_label_is_not_strange(self) -> None:
        found = unknown_scores("max_probability", np.float32([[9, 0, 0], [0, 0, 0]]), 1.0)
        assert found[0] < 0.01
        assert found[1] == pytest.approx(2 / 3)

    @pytest.mark.parametrize(("refused", "above"), [(0.05, 2), (0.1, 5), (0.001, 0)])
    def test_at_most_the_share_of_good_photos_is_above_the_threshold(self, refused: float, above: int) -> None:
        scores = np.random.default_rng(1).permutation(50).astype(np.float32)
        assert int((scores > threshold_for(scores, refused)).sum()) == above


def with_rule(rule: Unknown | None = RULE) -> Any:
    return lambda directory: msgspec.structs.replace(manifest_of(directory), **({"unknown": rule} if rule else {}))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The simulated device's logits are means of gray: a dark picture has little energy, so it is strange."""
    path = tmp_path / "rule.linnet"
    write_bundle(path, with_rule(), overwrite=False)
    return path


def picture(gray: int, label: int = 1) -> np.ndarray:
    found = np.full((SIDE, SIDE, 3), gray // 4, np.uint8)
    found[:, label * SIDE // 3 : (label + 1) * SIDE // 3] = gray
    return found


class TestClassifier:
    def test_a_strange_picture_is_unknown_with_the_score_and_the_reason(self, bundle: Path) -> None:
        with Classifier.open(bundle, "fake") as classifier:
            strange, good = (classifier.classify(picture(gray), color="rgb") for gray in (100, 200))
        assert (strange.label, strange.closest) == ("unknown", LABELS[1])
        assert strange.unknown_score == pytest.approx(-100, abs=1)
        assert strange.reason == "energy -100 above -150"
        line = strange.to_json()
        assert (line["label"], line["closest"], line["unknown_score"]) == ("unknown", LABELS[1], -100.0)
        assert (good.label, good.closest, good.reason) == (LABELS[1], None, "")
        assert good.to_json()["unknown_score"] == -200.0
        assert "closest" not in good.to_json()

    def test_without_a_threshold_there_is_no_score(self, small_bundle: Path) -> None:
        with Classifier.open(small_bundle, "fake") as classifier:
            found = classifier.classify(picture(5), color="rgb")
        assert found.label == LABELS[1]
        assert "unknown_score" not in found.to_json()


class TestDecider:
    def decide(self, bundle: Path, settings: DecisionSettings, grays: list[int]) -> list[tuple[str, str | None]]:
        found = []
        decider = Decider(LABELS, 1.0, settings)
        with Classifier.open(bundle, "fake") as classifier:
            for i, gray in enumerate(grays):
                frame = Frame(picture(gray), "rgb", captured_at=float(i), captured_monotonic=i / 10)
                decision = decider.decide(classifier.classify(frame.pixels, color="rgb"), frame)
                found.append((decision.label, decision.closest))
        return found

    def test_an_unknown_picture_is_decided_as_unknown(self, bundle: Path) -> None:
        known, unknown = (LABELS[1], None), ("unknown", LABELS[1])
        assert self.decide(bundle, DecisionSettings(), [200, 100, 200]) == [known, unknown, known]

    def test_one_unknown_picture_is_outvoted(self, bundle: Path) -> None:
        settings = DecisionSettings(smoothing="vote", window_s=1.0)
        assert [label for label, _ in self.decide(bundle, settings, [200, 200, 100, 200])] == [LABELS[1]] * 4


class TestBundle:
    def test_a_threshold_is_schema_2(self, bundle: Path, small_bundle: Path) -> None:
        assert open_bundle(bundle).schema == 2
        assert open_bundle(bundle).unknown == RULE
        assert open_bundle(small_bundle).schema == 1

    @pytest.mark.parametrize(
        ("key", "value"),
        [("score", "magic"), ("threshold", 1e9), ("threshold", "high"), ("refused", 0), ("refused", 1.5), ("n", 0)],
    )
    def test_a_value_without_a_meaning_is_refused(self, key: str, value: object, bundle: Path) -> None:
        edit_manifest(bundle, lambda manifest: manifest["unknown"].update({key: value}))
        with pytest.raises(BundleError, match=rf"\$\.unknown\.{key}"):
            open_bundle(bundle)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten photos of each label, of other brightness each."""
    for i, label in enumerate(LABELS):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for n in range(10):
            cv2.imwrite(str(tmp_path / "photos" / label / f"{n}.png"), picture(150 + 10 * n, i))
    return tmp_path / "photos"


class TestTune:
    def test_the_share_of_good_photos_is_refused_and_written(self, small_bundle: Path, photos: Path) -> None:
        done = linnet("tune", small_bundle, "--data", photos, "--device", "fake", "--refuse", 0.1, "--json")
        said = json.loads(done.stdout)
        assert said["unknown"]["n"] == 30
        assert said["answered"]["value"] == 0.9
        assert said["accuracy_answered"]["value"] == 1.0
        rule = open_bundle(small_bundle).unknown
        assert rule
        assert -160 < rule.threshold < -150
        line = json.loads(linnet("classify", small_bundle, photos / "nut" / "0.png", "--device", "fake").stdout)
        assert (line["label"], line["closest"]) == ("unknown", "nut")
        good = json.loads(linnet("classify", small_bundle, photos / "nut" / "9.png", "--device", "fake").stdout)
        assert good["label"] == "nut"

    def test_a_share_of_0_takes_it_back(self, bundle: Path) -> None:
        assert "nothing is called unknown" in linnet("tune", bundle, "--refuse", 0).stdout
        opened = open_bundle(bundle)
        assert not opened.unknown
        assert opened.schema == 1

    def test_run_says_unknown_and_why(self, bundle: Path, tmp_path: Path) -> None:
        (tmp_path / "dark").mkdir()
        cv2.imwrite(str(tmp_path / "dark" / "a.png"), picture(90))
        first = linnet("run", bundle, "--source", tmp_path / "dark", "--device", "fake").stdout.splitlines()[0]
        line = json.loads(first)
        assert (line["label"], line["closest"], line["reason"]) == ("unknown", "nut", "energy -90 above -150")
        assert line["unknown_score"] == -90.0

    def test_without_photos_it_is_one_line(self, small_bundle: Path) -> None:
        assert "--data" in one_line_error(linnet("tune", small_bundle, status=1))

    def test_too_few_photos_are_one_line(self, small_bundle: Path, tmp_path: Path) -> None:
        for label in LABELS[:2]:
            (tmp_path / "few" / label).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "few" / label / "1.png"), picture(200))
        done = linnet("tune", small_bundle, "--data", tmp_path / "few", "--device", "fake", status=1)
        assert "got 2 photos, expected at least 20" in one_line_error(done)
