"""The figures of a run against scikit-learn's and against ones worked out by hand; the temperature; the plots."""

from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics as sk

from linnet_runtime.pages import png_of
from linnet_runtime.probabilities import probabilities
from linnet_train.recipes.schedules import Constant
from linnet_train.report.calibration import TEMPERATURES, ece_by_chance, fit_temperature, reliability
from linnet_train.report.metrics import Judged, classification_metrics, common_confusions, model_figures
from linnet_train.report.plots import draw_confusion, draw_curves, draw_precision_recall, draw_reliability
from linnet_train.training.phases import Phase

Sample = tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]


@pytest.fixture
def sample() -> Sample:
    """200 photos of eight classes, called right more often than not."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 8, 200)
    logits = rng.normal(0, 1.5, (200, 8)).astype(np.float32)
    logits[np.arange(200), labels] += 2
    return logits, labels, tuple("abcdefgh")


def drawn_by_chance(n: int, temperature: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of five classes, and labels that are what the logits over the temperature say."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (n, 5)).astype(np.float32)
    cumulated = probabilities(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulated).sum(axis=1).clip(0, 4)


def test_metrics_are_those_of_scikit_learn(sample: Sample) -> None:
    logits, labels, classes = sample
    found = classification_metrics(logits, labels, classes)
    exponentials = np.exp(logits.astype(np.float64))
    probability = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert found.top1 == pytest.approx(sk.accuracy_score(labels, logits.argmax(axis=1)))
    assert found.top5 == pytest.approx(sk.top_k_accuracy_score(labels, logits, k=5))
    assert found.cross_entropy == pytest.approx(sk.log_loss(labels, probability), rel=1e-5)
    recall = sk.recall_score(labels, logits.argmax(axis=1), average=None)
    assert found.recall == pytest.approx(dict(zip(classes, recall, strict=True)))
    assert found.n == 200


def test_metrics_by_hand() -> None:
    logits = np.float32([[2, 0, 0], [0, 2, 0], [0, 2, 0], [2, 0, 0]])
    found = classification_metrics(logits, np.array([0, 1, 0, 1]), ("a", "b", "c"))
    right, wrong = np.log(1 + 2 * np.exp(-2)), np.log(2 + np.exp(2))
    assert msgspec.structs.asdict(found) == {
        "top1": 0.5,
        "top5": 1.0,  # of three classes
        "cross_entropy": pytest.approx((right + wrong) / 2),
        "recall": {"a": 0.5, "b": 0.5},  # there is no c in the test part
        "n": 4,
    }


def test_a_probability_that_underflows_costs_a_finite_entropy() -> None:
    found = classification_metrics(np.float32([[500, -500]]), np.array([1]), ("a", "b"))
    assert np.isfinite(found.cross_entropy)


def test_the_figures_of_each_class_by_hand() -> None:
    """Six photos: a, a, a called b, b, b called d, c called a; of d there is none, and e is never called."""
    called, labels = [0, 0, 1, 1, 3, 0], np.array([0, 0, 0, 1, 1, 2])
    logits = np.eye(5, dtype=np.float32)[called] * 3
    figures = model_figures(Judged(logits, labels, 1.0), tuple("abcde"))
    rows = {row.name: row for row in figures.per_class}
    precision_recall_f1 = {name: (row.precision, row.recall, row.f1) for name, row in rows.items()}
    assert precision_recall_f1 == {
        "a": pytest.approx((2 / 3, 2 / 3, 2 / 3)),
        "b": pytest.approx((1 / 2, 1 / 2, 1 / 2)),
        "c": (None, 0.0, 0.0),
        "d": (0.0, None, None),
        "e": (None, None, None),
    }
    assert [(row.support, row.called) for row in figures.per_class] == [(3, 3), (2, 2), (1, 0), (0, 1), (0, 0)]
    assert figures.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3), "of the classes that have photos"
    assert figures.confusion.tolist()[:3] == [[2, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0]]
    low, high = rows["b"].recall_low, rows["b"].recall_high
    assert low is not None
    assert high is not None
    assert (low, high) == pytest.approx((0.0945, 0.9055), abs=5e-4), "Wilson's of one in two"
    assert rows["e"].average_precision is None


def test_the_average_precision_is_of_the_probabilities_that_the_bundle_gives(sample: Sample) -> None:
    """The temperature changes the order of photos, and with it the precision at a threshold."""
    logits, labels, classes = sample
    found = model_figures(Judged(logits, labels, 0.5), classes)
    expected = [sk.average_precision_score(labels == i, probabilities(logits, 0.5)[:, i]) for i in range(8)]
    assert [row.average_precision for row in found.per_class] == pytest.approx(expected)
    assert found.mean_average_precision == pytest.approx(np.mean(expected))
    assert found.mean_average_precision != model_figures(Judged(logits, labels, 1.0), classes).mean_average_precision


def test_frequent_confusions_come_in_order_and_happened_more_than_once() -> None:
    matrix = np.array([[90, 2, 7], [3, 50, 1], [0, 0, 8]])
    assert common_confusions(matrix, 9) == [(0, 2, 7), (1, 0, 3), (0, 1, 2)]
    assert common_confusions(matrix, 1) == [(0, 2, 7)]
    assert common_confusions(np.eye(3, dtype=int), 9) == []


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_one_that_the_labels_were_drawn_with(temperature: float) -> None:
    assert fit_temperature(*drawn_by_chance(20_000, temperature)) == pytest.approx(temperature, rel=0.05)


def test_no_temperature_has_a_smaller_cross_entropy() -> None:
    logits, labels = drawn_by_chance(300, 2.0)
    fitted = fit_temperature(logits, labels)
    assert fitted is not None
    losses = [sk.log_loss(labels, probabilities(logits, t)) for t in (fitted, *np.geomspace(0.2, 9, 40))]
    assert min(losses) == pytest.approx(losses[0], abs=1e-6)


def test_labels_that_have_nothing_to_do_with_the_logits_get_the_largest_temperature() -> None:
    logits, _ = drawn_by_chance(100, 1.0)
    assert fit_temperature(logits, logits.argmin(axis=1)) == TEMPERATURES[1]


def test_where_all_are_right_no_temperature_can_be_fitted() -> None:
    logits, _ = drawn_by_chance(100, 1.0)
    assert fit_temperature(logits, logits.argmax(axis=1)) is None


def test_the_calibration_error_by_hand() -> None:
    """Two photos called with 0.9, one right; two with 0.6, both right."""
    probability = np.float32([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    found = reliability(probability, np.array([0, 1, 0, 1]))
    filled = found.count > 0
    assert found.count[filled].tolist() == [2, 2]
    assert found.confidence[filled] == pytest.approx([0.6, 0.9])
    assert found.accuracy[filled].tolist() == [1.0, 0.5]
    assert found.ece == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)


def test_certainty_is_in_the_last_bin() -> None:
    found = reliability(np.float32([[1, 0], [0, 1]]), np.array([0, 1]))
    assert found.count.tolist() == [0] * 14 + [2]
    assert found.ece == 0.0


def test_a_calibrated_model_has_the_error_of_chance_and_another_has_more() -> None:
    logits, labels = drawn_by_chance(500, 1.0)
    by_chance = ece_by_chance(probabilities(logits, 1.0))
    assert 0.02 < by_chance < 0.06, "500 photos are not endless"
    assert reliability(probabilities(logits, 1.0), labels).ece < 1.5 * by_chance
    assert reliability(probabilities(logits, 0.3), labels).ece > 3 * by_chance


def pixels(figure: Figure) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(png_of(figure), np.uint8), cv2.IMREAD_COLOR)
    assert min(picture.shape[:2]) >= 400
    return picture


@pytest.mark.parametrize("classes", [2, 30])
def test_a_confusion_matrix_is_drawn_darker_where_a_class_is_called_more_often(classes: int) -> None:
    names = tuple(f"class {i}" for i in range(classes))
    pictures = []
    for share in (0, 50):
        matrix = np.eye(classes, dtype=np.int64) * 50
        matrix[0, -1] = share
        pictures.append(pixels(draw_confusion(matrix, names, "int8")))
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0].astype(int) - pictures[1]).max() > 50  # the cell has become blue


# What Matplotlib takes for mathematics or for no label, a script that its font has not, and no end.
NAMES = ("$a", "$b$", "_private", "\u9ce5", "x" * 80, r"back\slash", "{brace", "<b>")


def test_classes_may_have_any_name(sample: Sample) -> None:
    logits, labels, _ = sample
    judged = Judged(logits, labels, 1.0)
    figures = model_figures(judged, NAMES)
    pixels(draw_confusion(figures.confusion, NAMES, "int8"))
    pixels(draw_precision_recall(judged, figures))


def test_a_class_without_test_photos_is_drawn() -> None:
    judged = Judged(np.float32([[2, 0, 1], [0, 2, 1]]), np.array([0, 0]), 1.0)
    figures = model_figures(judged, ("a", "b", "c"))
    pixels(draw_confusion(figures.confusion, ("a", "b", "c"), "int8"))
    pixels(draw_precision_recall(judged, figures))
    pixels(draw_reliability(judged))


def test_the_temperature_changes_the_reliability_diagram(sample: Sample) -> None:
    logits, labels, _ = sample
    one, other = (pixels(draw_reliability(Judged(logits, labels, t))) for t in (1.0, 2.0))
    half = one.shape[1] // 2
    assert np.array_equal(one[:, : half - 80], other[:, : half - 80]), "as trained"
    assert not np.array_equal(one[:, half:], other[:, half:])


def test_of_many_classes_the_worst_are_named() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 12
    logits = rng.normal(0, 1, (60, 12)).astype(np.float32)
    logits[np.arange(60), labels] += np.where(labels < 2, 9, 1)
    judged = Judged(logits, labels, 1.0)
    figure = draw_precision_recall(judged, model_figures(judged, tuple(f"class {i}" for i in range(12))))
    legend = figure.legends[0]
    assert "10 worst of 12" in legend.get_title().get_text()
    assert [text.get_text().split("  ")[1] for text in legend.get_texts()] == [f"class {i}" for i in range(2, 12)]


def test_curves_show_every_epoch_and_mark_the_phases() -> None:
    def row(phase: int, epoch: int) -> dict[str, Any]:
        value = 1 / (1 + phase + epoch)
        figures = dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate"), value)
        return {"phase": phase, "epoch": epoch, "seconds": 1.0, **figures}

    phases = [
        Phase(name, 2, 1e-3, Constant(), lambda model: None, quantized=name != "whole")
        for name in ("whole", "int8, ranges moving", "int8, ranges frozen")
    ]
    figure = draw_curves([row(0, 1), row(0, 2), row(2, 1)], phases)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["whole", "int8, ranges frozen"]
    training, validation = figure.axes[0].get_lines()
    assert (
        np.asarray(training.get_ydata()).tolist()
        == np.asarray(validation.get_ydata()).tolist()
        == [1 / 2, 1 / 3, 1 / 4]
    )
    assert pixels(figure).shape == pixels(draw_curves([row(0, 1)], phases)).shape
