"""Files for other people's clients, read by LiteRT with each client's own arithmetic, which is written out here.

tests/packaging/test_clients.py has MediaPipe itself read one.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from convert.clients.names import LABELS, MODEL
from linnet_convert.clients import CLIENTS, export
from linnet_convert.clients.scores import write_scoring_model
from linnet_convert.readers.tflite_graph import read_graph
from linnet_devices.testing.samples import HEIGHT, WIDTH, pattern_pictures
from linnet_runtime.bundle import open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.probabilities import probabilities


def outputs(path: Path, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The raw outputs [N, classes] of a .tflite under LiteRT, and what it says of them."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for picture in pictures:
        interpreter.set_tensor(given["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(wanted["index"])[0])
    return np.stack(rows), wanted


def linnet_probabilities(bundle: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linnet's own, [N, classes], for pictures of the model's size."""
    with Classifier.open(bundle, "cpu:litert") as classifier:
        logits = [classifier.classify(picture, color="rgb").logits for picture in pictures]
    return probabilities(np.stack(logits), open_bundle(bundle).temperature)


def dequantized(path: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The scores of MediaPipe, and of pycoral's ``classify.get_scores``: scale * (output - zero point)."""
    raw, details = outputs(path, pictures)
    scale, zero_point = details["quantization"]
    return scale * (raw.astype(np.int64) - zero_point)


def pycorals_classes(scores: NDArray[np.float64], top_k: int, threshold: float = 0.0) -> list[tuple[int, float]]:
    """What pycoral's ``classify.get_classes`` makes of a picture's scores: the ``top_k`` best (index, score) with at
    least the threshold, best first.
    """
    best = np.argpartition(scores, -top_k)[-top_k:]
    found = [(int(index), float(scores[index])) for index in best if scores[index] >= threshold]
    return sorted(found, key=lambda entry: entry[1], reverse=True)


def as_frigate(path: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The scores of Frigate's custom classification: the raw outputs over their sum."""
    raw, _ = outputs(path, pictures)
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("client", ["mediapipe", "pycoral"])
def test_dequantized_outputs_are_linnets_probabilities(client: str, bundle: Path) -> None:
    expected = linnet_probabilities(bundle, pattern_pictures())
    assert np.ptp(expected) > 0.3, "scores that say something"
    export(bundle, [client])
    found = dequantized(bundle / "for" / client / "model.tflite", pattern_pictures())
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)
    assert np.abs(dequantized(bundle / MODEL, pattern_pictures()) - expected).max() > 0.3, "logits are no scores"


def flat_pictures(count: int) -> NDArray[np.uint8]:
    """uint8 [count, HEIGHT, WIDTH, 3], each of one random color."""
    return np.tile(np.random.default_rng(0).integers(0, 256, (count, 1, 1, 3), np.uint8), (1, HEIGHT, WIDTH, 1))


def clearly_ordered(expected: NDArray[np.float64]) -> bool:
    """Whether no two of the probabilities are so near that the scores' steps could exchange them."""
    return bool(np.diff(np.sort(expected)).min() > 0.02)


def test_pycorals_classes_come_in_the_order_of_linnets_probabilities(bundle: Path) -> None:
    """Whichever label is the best, and as many of them as the program asks for."""
    export(bundle, ["pycoral"])
    pictures = flat_pictures(300)
    given = dequantized(bundle / "for" / "pycoral" / "model.tflite", pictures)
    orders = set()
    for scores, expected in zip(given, linnet_probabilities(bundle, pictures), strict=True):
        if clearly_ordered(expected):
            order = np.argsort(-expected)
            orders.add(tuple(order))
            for top_k in (1, 2, 3):
                found = pycorals_classes(scores, top_k)
                assert [index for index, _ in found] == order[:top_k].tolist()
                np.testing.assert_allclose([score for _, score in found], expected[order[:top_k]], rtol=0, atol=0.01)
    assert {order[0] for order in orders} == {0, 1, 2}, "one order alone would be found by any arithmetic"
    assert len(orders) > 3


def test_pycorals_threshold_is_a_probability(bundle: Path) -> None:
    export(bundle, ["pycoral"])
    pictures, threshold = flat_pictures(100), 0.8
    given = dequantized(bundle / "for" / "pycoral" / "model.tflite", pictures)
    counts = set()
    for scores, expected in zip(given, linnet_probabilities(bundle, pictures), strict=True):
        if np.abs(expected - threshold).min() > 0.02:
            found = pycorals_classes(scores, 3, threshold)
            assert [index for index, _ in found] == np.flatnonzero(expected >= threshold).tolist()
            counts.add(len(found))
    assert counts == {0, 1}


def test_frigates_shares_are_linnets_probabilities(bundle: Path) -> None:
    """Frigate's photos are 224 px; flat ones are the same after any resizing."""
    pictures = flat_pictures(8)
    expected = linnet_probabilities(bundle, pictures)
    assert np.ptp(expected) > 0.3, "scores that say something"
    export(bundle, ["frigate"])
    found = as_frigate(bundle / "for" / "frigate" / "model.tflite", np.tile(pictures[:, :1, :1], (1, 224, 224, 1)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02)
    with_logits = as_frigate(bundle / MODEL, pictures)
    assert np.abs(with_logits - expected).max() > 0.1, "logits are no scores"


def test_photos_of_the_clients_size_are_resized_in_the_model(bundle: Path) -> None:
    """Of blocks of equal pixels, bilinear interpolation gives each block's color, height and width in their places."""
    side = 96
    write_scoring_model(open_bundle(bundle), bundle / "own.tflite")
    write_scoring_model(open_bundle(bundle), bundle / "large.tflite", side=side)
    blocks = np.repeat(np.repeat(pattern_pictures(), side // HEIGHT, axis=1), side // WIDTH, axis=2)
    found, _ = outputs(bundle / "large.tflite", blocks)
    expected, _ = outputs(bundle / "own.tflite", pattern_pictures())
    np.testing.assert_array_equal(found, expected)


def test_a_model_of_the_clients_size_is_not_resized(bundle: Path) -> None:
    def operators(side: int | None) -> list[str]:
        write_scoring_model(open_bundle(bundle), bundle / "scores.tflite", side=side)
        return [operator.name for operator in read_graph(bundle / "scores.tflite").operators]

    own = [operator.name for operator in read_graph(bundle / MODEL).operators]
    assert operators(None) == [*own, "SOFTMAX"]
    assert operators(48) == ["RESIZE_BILINEAR", *own, "SOFTMAX"]


def test_the_logits_before_the_softmax_are_the_bundles_step_for_step(bundle: Path) -> None:
    export(bundle, ["mediapipe"])
    path = bundle / "for" / "mediapipe" / "model.tflite"
    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    graph = read_graph(path)
    reference = Interpreter(
        str(bundle / MODEL), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    reference.allocate_tensors()
    for picture in pattern_pictures():
        for each, index in ((interpreter, graph.inputs[0]), (reference, reference.get_input_details()[0]["index"])):
            each.set_tensor(index, picture[None])
            each.invoke()
        expected = reference.get_tensor(reference.get_output_details()[0]["index"])
        np.testing.assert_array_equal(interpreter.get_tensor(graph.operators[-1].inputs[0]), expected)


def test_the_labels_are_in_each_clients_form(bundle: Path) -> None:
    export(bundle, CLIENTS)
    with zipfile.ZipFile(bundle / "for" / "mediapipe" / "model.tflite") as archive:
        assert archive.read("labels.txt").decode() == "red\n3 amp\nblue sky\n"
    assert (bundle / "for" / "frigate" / "labelmap.txt").read_text() == "red\n3 amp\nblue sky\n"
    read_by_pycoral = {}
    for row, line in enumerate((bundle / "for" / "pycoral" / "labels.txt").read_text().splitlines()):
        index, label = re.split(r"[:\s]+", line.strip(), maxsplit=1)  # as pycoral's read_label_file
        assert index == str(row)
        read_by_pycoral[int(index)] = label
    assert tuple(read_by_pycoral.values()) == LABELS
