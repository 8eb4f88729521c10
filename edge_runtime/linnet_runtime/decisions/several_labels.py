"""Several labels at a time, each decided by itself."""

from __future__ import annotations

import numpy as np

from linnet_runtime.decisions.changes import Change
from linnet_runtime.decisions.rules import Array, Choices, Rules


class SeveralLabels:
    """Decides for each label whether it is there, with the agreement and the dwell of ``OneLabel``. Unknown is there
    where it is decided of every label that it is not.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._announced = np.zeros(len(rules.names), bool)  # what the changes so far amount to
        self.reset()

    def reset(self) -> None:
        """Nothing is decided."""
        labels = self._rules.unknown
        self._there = np.full(labels, -1, np.int8)  # 1 there, 0 not there, -1 not decided
        self._since = np.full(labels, -np.inf)
        self._agreeing = np.zeros(labels, np.int64)
        self._none_there = False

    def own(self, p: Array) -> Choices:
        """A result's own labels."""
        counting = self._rules.counting(p, p)
        return np.append(counting, not counting.any())

    def add(self, score: Array, q: Array, time: float) -> tuple[list[int], list[Change]]:
        """Takes a result. Returns the choices that it decides to be there, and what changes."""
        settings = self._rules.settings
        voted = len(score) > len(q)
        held = score[: self._rules.unknown] + settings.hysteresis * (self._there == 1)
        answers = held > 0.5 if voted else self._rules.counting(held, q)
        differs = answers != self._there
        self._agreeing = np.where(differs, self._agreeing + 1, 0)
        new = differs & (self._agreeing >= settings.agree) & (time - self._since >= settings.dwell_s)
        self._there[new] = answers[new]
        self._since[new] = time
        self._agreeing[new] = 0
        none_there = not self._there.any()  # -1 is not decided
        new_unknown = none_there and not self._none_there
        self._none_there = none_there
        decided = np.append(new & answers, new_unknown)
        return np.flatnonzero(decided).tolist(), self._changes(np.append(new & ~answers, False), decided)

    def labels(self, q: Array) -> list[int]:
        """The decided labels, most probable first."""
        there = np.flatnonzero(self._there == 1)
        return there[np.argsort(-q[there], kind="stable")].tolist()

    def _changes(self, gone: Choices, there: Choices) -> list[Change]:
        names, unknown = self._rules.names, self._rules.unknown
        left = np.flatnonzero(gone & self._announced)
        entered = np.flatnonzero(there & ~self._announced)
        self._announced[gone] = False
        self._announced[there] = True
        if there[:unknown].any():
            self._announced[unknown] = False
        changes = [Change("leave", None, names[i]) for i in left]
        return changes + [
            Change("unknown", names[i], None) if i == unknown else Change("enter", names[i], None) for i in entered
        ]
