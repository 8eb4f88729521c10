"""One label at a time: hysteresis, agreement, dwell."""

from __future__ import annotations

import numpy as np

from linnet_runtime.decisions.changes import Change
from linnet_runtime.decisions.rules import Array, Choices, Rules

_TIE = 1e-6  # less than one vote of smoothing.MOST_RESULTS


class OneLabel:
    """Decides for one of the choices at a time.

    A new candidate is decided at the first result that is at least the ``agree``-th in a row with it, and that was
    captured at least ``dwell_s`` after the result at which the old choice was decided. The first choice, and the first
    one after a reset, needs agreement and no dwell.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._announced: int | None = None  # what the changes so far amount to
        self.reset()

    def reset(self) -> None:
        """Nothing is decided."""
        self.decided: int | None = None
        self._since = 0.0
        self._candidate: int | None = None
        self._agreeing = 0

    def own(self, p: Array) -> Choices:
        """A result's own label."""
        own = np.zeros(len(self._rules.names), bool)
        own[self._rules.best(p, p)] = True
        return own

    def add(self, score: Array, q: Array, time: float) -> tuple[list[int], list[Change]]:
        """Takes a result. Returns the choice that it decides, if it decides one, and what changes."""
        candidate = self._best(score, q)
        if candidate == self.decided:
            self._candidate = None
            return [], []
        self._agreeing = self._agreeing + 1 if candidate == self._candidate else 1
        self._candidate = candidate
        settings = self._rules.settings
        held = self.decided is not None and time - self._since < settings.dwell_s
        if held or self._agreeing < settings.agree:
            return [], []
        self.decided, self._since, self._candidate = candidate, time, None
        changes = self._changes(self._announced, candidate)
        self._announced = candidate
        return [candidate], changes

    def labels(self, q: Array) -> list[int]:
        """The decided label; none where it is unknown."""
        return [] if self.decided in (None, self._rules.unknown) else [self.decided]

    def _best(self, score: Array, q: Array) -> int:
        voted = len(score) > len(q)
        if self.decided is not None and (voted or self.decided != self._rules.unknown):
            score = score.copy()
            score[self.decided] += self._rules.settings.hysteresis + (_TIE if voted else 0)
        if not voted:
            return self._rules.best(score, q)
        return int((score + _TIE / 2 * np.append(q, 0.0)).argmax())

    def _changes(self, before: int | None, after: int) -> list[Change]:
        names, unknown = self._rules.names, self._rules.unknown
        previous = None if before is None else names[before]
        if before == after:
            return []
        if after != unknown:
            return [Change("enter" if before in (None, unknown) else "change", names[after], previous)]
        left = [] if before is None else [Change("leave", None, previous)]
        return [*left, Change("unknown", names[unknown], previous)]
