"""Results of a made model, the decider that gets them, and what it decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from linnet_runtime.classifier import Classification
from linnet_runtime.decisions.decider import Decider, Decision
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.probabilities import probabilities, top_classes
from linnet_runtime.sources.api import Frame

LABELS = ("ajar", "closed", "open")
AJAR, CLOSED, OPEN = range(3)
PICTURE = np.zeros((2, 2, 3), np.uint8)
STEP_S = 0.1


def classification(logits: Sequence[float], *, temperature: float = 1.0, independent: bool = False) -> Classification:
    """As ``Classifier.classify`` gives it for these logits."""
    row = np.array(logits, np.float32)
    top = top_classes(probabilities(row, temperature, independent=independent), LABELS[: len(row)])
    return Classification(
        label=top[0][0],
        probability=top[0][1],
        top=top,
        independent=independent,
        logits=row,
        device="simulated",
        artifact="none",
        stages_ms={},
    )


def frame(time: float) -> Frame:
    return Frame(PICTURE, captured_at=1e9 + time, captured_monotonic=time)


def sure(label: int | None, probability: float = 0.98) -> Classification:
    """A result with that probability for a label, and the rest shared by the others; None is an even share for all."""
    p = np.full(len(LABELS), (1 - probability) / (len(LABELS) - 1))
    if label is None:
        p[:] = 1 / len(LABELS)
    else:
        p[label] = probability
    return classification(np.log(p).tolist())


def decider(**settings: Any) -> Decider:
    return Decider(LABELS, 1.0, DecisionSettings(**settings))


def run(deciding: Decider, results: Iterable[Classification], start: float = 0.0) -> list[Decision]:
    """The decisions about results that are ``STEP_S`` apart."""
    return [deciding.decide(result, frame(start + i * STEP_S)) for i, result in enumerate(results)]


def labels(decisions: Iterable[Decision]) -> list[str]:
    return [decision.label for decision in decisions]


def kinds(decisions: Iterable[Decision]) -> list[tuple[str, str | None]]:
    return [(event.kind, event.label) for decision in decisions for event in decision.events]
