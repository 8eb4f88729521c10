"""From the classifications of a camera's region to its decided label, and the events in which that label changes.

A result at time t, in seconds, has logits z. With labels c, thresholds θ[c] and the decided label d before it:

1. Probabilities: p = softmax(z / T), or the sigmoid of each where labels are independent. T is the bundle's temperature
   unless the settings have another.
2. The result's own label is the most probable allowed label c if p[c] >= θ[c], else unknown.
3. Smoothing gives the probabilities q and the scores s.
   none: q = s = p.
   exponential: q += (1 - exp(-dt / window_s)) * (p - q), s = q; dt is the time since the result before, and the first
   result gives q = p.
   vote: over the results captured less than window_s before t, q is the mean of p, and s the share of the results whose
   own label is c; unknown has votes too.
4. Hysteresis: the candidate is the allowed label c with the highest s[c] + (hysteresis if c = d); it is unknown where
   that sum is below θ[c]. Votes have no threshold here; equal ones go to d, else to the label with the higher q.
5. Agreement and dwell: the candidate is decided when ``agree`` results in a row had it, and when d was decided at least
   ``dwell_s`` before t.

With ``several`` each label is decided by itself: it is there where s[c] (+ hysteresis, if it was there) >= θ[c], with
votes where that sum is more than one half. Unknown is there where it is decided of every label that it is not.

After a gap (see ``gaps.Gaps``) and after ``reset`` no earlier result counts: q begins with the next result, nothing is
decided and agreement begins to count. The label last decided is kept only to compare with: the same label decided again
is no event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linnet_runtime.classifier import Classification
from linnet_runtime.decisions.changes import Change
from linnet_runtime.decisions.gaps import Gaps
from linnet_runtime.decisions.one_label import OneLabel
from linnet_runtime.decisions.rules import Array, Rules
from linnet_runtime.decisions.settings import DecisionSettings, check_labels
from linnet_runtime.decisions.several_labels import SeveralLabels
from linnet_runtime.decisions.smoothing import Exponential, Votes
from linnet_runtime.probabilities import probabilities
from linnet_runtime.results import Event
from linnet_runtime.sources.api import Frame
from linnet_runtime.unknown import UNKNOWN


@dataclass(frozen=True)
class Decision:
    """What is decided about a camera's region after a result."""

    label: str
    """The decided label; ``"unknown"`` where no label is, or where nothing has been decided yet."""
    probability: float
    """The smoothed probability of ``label``, 0 to 1; where the label is ``"unknown"``, of ``closest``."""
    closest: str | None
    """The most probable allowed label where ``label`` is ``"unknown"``."""
    delay_ms: float
    """What smoothing, agreement, hysteresis and dwell have added: milliseconds from the first result of the latest
    unbroken row of results whose own label is ``label`` to the result at which it was decided. It stays until another
    label is decided; 0 where no result had that label as its own."""
    events: tuple[Event, ...]
    """What has changed with this result, in order."""
    labels: tuple[tuple[str, float], ...] = ()
    """With ``several``: all decided labels and their smoothed probabilities, most probable first."""
    top: tuple[tuple[str, float], ...] = ()
    """The most probable allowed labels and their smoothed probabilities; as many as the settings' ``top``."""


class Decider:
    """Decides about one region of one camera. It is called with every result of it, in the order of their capture, from
    one thread at a time. It has no clock and no threads: the times are those of the frames.
    """

    def __init__(
        self,
        labels: Sequence[str],
        temperature: float,
        settings: DecisionSettings,
        *,
        interval_s: float | None = None,
        camera: str = "",
        region: str = "",
    ) -> None:
        """A decider that has seen nothing.

        Args:
            labels: the bundle's.
            temperature: the bundle's.
            settings: what counts and how sure it must be.
            interval_s: that of ``When``: intervals of that length are no gaps.
            camera: the camera's name, for events.
            region: the region's name, for events.

        Raises:
            LinnetError: the settings name a label that is not one of ``labels``.
        """
        check_labels(settings, labels)
        self._settings = settings
        self._temperature = temperature if settings.temperature is None else settings.temperature
        self._camera, self._region = camera, region
        self._rules = Rules(labels, settings)
        self._deciding = SeveralLabels(self._rules) if settings.several else OneLabel(self._rules)
        self._exponential = Exponential(settings.window_s) if settings.smoothing == "exponential" else None
        self._votes = Votes(settings.window_s, self._deciding.own) if settings.smoothing == "vote" else None
        self._gaps = Gaps(settings.gap_s, interval_s)
        self.reset()

    def reset(self) -> None:
        """No earlier result counts from now on, as after a gap: call it when the source was offline."""
        for part in (self._exponential, self._votes, self._deciding):
            if part is not None:
                part.reset()
        choices = len(self._rules.names)
        self._own = np.zeros(choices, bool)  # the last result's own label
        self._own_since = np.full(choices, np.nan)  # when the latest row of results with it began
        self._delays_ms = np.zeros(choices)

    def change_threshold(self, threshold: float) -> None:
        """Changes the settings' ``threshold``, from the next result on. Votes begin anew: they were cast with the old
        one.
        """
        self._rules.change_threshold(threshold)
        if self._votes is not None:
            self._votes.reset()

    def decide(self, classification: Classification, frame: Frame) -> Decision:
        """Takes a result into account.

        Args:
            classification: the model's, of this frame's region. Logits that are not finite are no answer, and a picture
                that the bundle calls unknown is none of the labels: all probabilities are 0, and the result's own label
                is unknown.
            frame: its times count, and events carry it.
        """
        time = frame.captured_monotonic
        if self._gaps.add(time):
            self.reset()
        p = self._probabilities(classification)
        own = self._deciding.own(p)
        self._own_since[own > self._own] = time  # where it is new
        self._own = own
        score, q = self._smoothed(p, time)
        decided, changes = self._deciding.add(score, q, time)
        for choice in decided:
            since = self._own_since[choice]
            self._delays_ms[choice] = 0 if np.isnan(since) else (time - since) * 1e3
        events = tuple(self._event(change, frame) for change in changes)
        return self._decision(q, events, classification)

    def _probabilities(self, classification: Classification) -> Array:
        if classification.is_unknown or not np.isfinite(classification.logits).all():
            return np.zeros(len(classification.logits))
        p = probabilities(classification.logits, self._temperature, independent=classification.independent)
        return p.astype(np.float64)

    def _smoothed(self, p: Array, time: float) -> tuple[Array, Array]:
        """The scores [labels], with votes [choices], and the probabilities [labels]."""
        if self._votes is not None:
            return self._votes.add(p, time)
        q = p if self._exponential is None else self._exponential.add(p, time)
        return q, q

    def _decision(self, q: Array, events: tuple[Event, ...], classification: Classification) -> Decision:
        decided = self._deciding.labels(q)
        names = self._rules.names
        if decided:
            label, closest, probability = names[decided[0]], None, float(q[decided[0]])
        else:
            label, (closest, probability) = UNKNOWN, self._rules.closest(q)
            if closest is None and classification.is_unknown:
                closest, probability = classification.closest, classification.probability
        return Decision(
            label=label,
            probability=probability,
            closest=closest,
            delay_ms=float(self._delays_ms[decided[0] if decided else self._rules.unknown]),
            events=events,
            labels=tuple((names[i], float(q[i])) for i in decided) if self._settings.several else (),
            top=self._rules.most_probable(q, self._settings.top) if self._settings.top else (),
        )

    def _event(self, change: Change, frame: Frame) -> Event:
        return Event(
            kind=change.kind,
            at=frame.captured_at,
            camera=self._camera,
            region=self._region,
            label=change.label,
            previous=change.previous,
            frame=frame,
        )
