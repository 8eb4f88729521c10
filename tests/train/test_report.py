"""The figures of a run against scikit-learn's and against ones worked out by hand; the plots."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from linnet_train.report import classification_metrics, confusion_matrix, draw_confusion, draw_curves

Sample = tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]


@pytest.fixture
def sample() -> Sample:
    """200 photos of eight classes, called right more often than not."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 8, 200)
    logits = rng.normal(0, 1.5, (200, 8)).astype(np.float32)
    logits[np.arange(200), labels] += 2
    return logits, labels, tuple("abcdefgh")


def test_metrics_are_those_of_scikit_learn(sample: Sample) -> None:
    logits, labels, classes = sample
    found = classification_metrics(logits, labels, classes)
    exponentials = np.exp(logits.astype(np.float64))
    probability = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert found["top1"] == pytest.approx(sk.accuracy_score(labels, logits.argmax(axis=1)))
    assert found["top5"] == pytest.approx(sk.top_k_accuracy_score(labels, logits, k=5))
    assert found["cross_entropy"] == pytest.approx(sk.log_loss(labels, probability), rel=1e-5)
    recall = sk.recall_score(labels, logits.argmax(axis=1), average=None)
    assert found["recall"] == pytest.approx(dict(zip(classes, recall, strict=True)))
    assert found["n"] == 200


def test_metrics_by_hand() -> None:
    logits = np.float32([[2, 0, 0], [0, 2, 0], [0, 2, 0], [2, 0, 0]])
    found = classification_metrics(logits, np.array([0, 1, 0, 1]), ("a", "b", "c"))
    right, wrong = np.log(1 + 2 * np.exp(-2)), np.log(2 + np.exp(2))
    assert found == {
        "top1": 0.5,
        "top5": 1.0,  # of three classes
        "cross_entropy": pytest.approx((right + wrong) / 2),
        "recall": {"a": 0.5, "b": 0.5},  # there is no c in the test part
        "n": 4,
    }


def test_a_probability_that_underflows_costs_a_finite_entropy() -> None:
    found = classification_metrics(np.float32([[500, -500]]), np.array([1]), ("a", "b"))
    assert np.isfinite(found["cross_entropy"])


def test_the_confusion_matrix_is_scikit_learn_s(sample: Sample) -> None:
    logits, labels, _ = sample
    expected = sk.confusion_matrix(labels, logits.argmax(axis=1), labels=range(8))
    np.testing.assert_array_equal(confusion_matrix(logits, labels, 8), expected)


@pytest.mark.parametrize("classes", [2, 30])
def test_a_confusion_matrix_is_drawn_darker_where_a_class_is_called_more_often(classes: int, tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(classes))
    pictures = []
    for share in (0, 50):
        matrix = np.eye(classes, dtype=np.int64) * 50
        matrix[0, -1] = share
        path = tmp_path / f"{share}.png"
        draw_confusion(path, matrix, names, "int8")
        pictures.append(cv2.imread(str(path)))
    assert pictures[0].shape == pictures[1].shape
    assert min(pictures[0].shape[:2]) >= 400
    assert (pictures[0].astype(int) - pictures[1]).max() > 50  # the cell has become blue


def test_a_class_without_test_photos_is_drawn(tmp_path: Path) -> None:
    draw_confusion(tmp_path / "x.png", np.array([[3, 1], [0, 0]]), ("a", "b"), "int8")
    assert cv2.imread(str(tmp_path / "x.png")) is not None


def test_curves_are_drawn_for_every_epoch_and_phase(tmp_path: Path) -> None:
    def row(phase: int, epoch: int) -> dict[str, float]:
        value = 1 / (1 + phase + epoch)
        return {"phase": phase, "epoch": epoch, "loss": value, "val_loss": value, "accuracy": value, "val_accuracy": 1}

    history = [row(0, 1), row(0, 2), row(2, 1)]
    for name, rows in (("one", history[:1]), ("all", history)):
        draw_curves(tmp_path / f"{name}.png", rows, ["whole", "int8, ranges moving", "int8, ranges frozen"])
    one, both = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "all"))
    assert one.shape == both.shape
    assert min(one.shape[:2]) >= 400
    assert not np.array_equal(one, both)
