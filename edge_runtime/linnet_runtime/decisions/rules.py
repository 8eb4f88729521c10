"""Which labels count, by the settings' lists and thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.unknown import UNKNOWN

Array = NDArray[np.float64]
Choices = NDArray[np.bool_]
"""bool [choices]: each of the labels, and last unknown."""


class Rules:
    """The labels of a bundle under the settings of a decision."""

    def __init__(self, labels: Sequence[str], settings: DecisionSettings) -> None:
        self.names = (*labels, UNKNOWN)
        self.unknown = len(labels)
        """The index of unknown among the choices."""
        self.settings = settings
        self.allowed = np.array(
            [label in (settings.allow or labels) and label not in settings.deny for label in labels]
        )
        self._some_denied = not self.allowed.all()
        self._set_thresholds()
        # A class that is itself called "unknown" means the same.
        self._same = np.array([label == UNKNOWN for label in labels])

    def change_threshold(self, threshold: float) -> None:
        """Changes the threshold of the labels that have none of their own."""
        self.settings = msgspec.structs.replace(self.settings, threshold=threshold)
        self._set_thresholds()

    def counting(self, score: Array, p: Array) -> NDArray[np.bool_]:
        """The labels that count by themselves: bool [labels]."""
        return self.allowed & ~self._same & (score >= self._thresholds) & (p > 0)

    def best(self, score: Array, p: Array) -> int:
        """The choice that counts where one does: the allowed label with the highest score, or unknown."""
        best = int((np.where(self.allowed, score, -1.0) if self._some_denied else score).argmax())
        counts = score[best] >= self._thresholds[best] and p[best] > 0
        return best if counts and not self._same[best] else self.unknown

    def most_probable(self, q: Array, count: int) -> tuple[tuple[str, float], ...]:
        """The most probable allowed labels, best first; equal ones in the order of their indices."""
        left, best = np.where(self.allowed, q, -1.0), []
        for _ in range(min(count, int(self.allowed.sum()))):  # few of perhaps thousands: faster than sorting
            i = int(left.argmax())
            best.append((self.names[i], float(q[i])))
            left[i] = -1.0
        return tuple(best)

    def _set_thresholds(self) -> None:
        of_label, threshold = self.settings.thresholds, self.settings.threshold
        self._thresholds = np.array([of_label.get(label, threshold) for label in self.names[:-1]])

    def closest(self, q: Array) -> tuple[str | None, float]:
        """The most probable allowed label, and its probability; None where it is a class called "unknown", or where all
        probabilities are 0.
        """
        best = int(np.where(self.allowed, q, -1.0).argmax())
        return None if self._same[best] or q[best] == 0 else self.names[best], float(q[best])
