"""Learning-rate schedules: which share of a phase's learning rate holds when. Tables of a recipe, told by ``name``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
_Factor = Annotated[float, Meta(gt=0, lt=1)]


class _Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="name"):
    """``warm_up`` is the share of the epochs in which the rate rises from zero; without it, the first steps at a high
    rate undo what the weights knew (Goyal et al., 2017).
    """

    warm_up: Share = 0.0

    def share_at(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        """The share of the learning rate.

        Args:
            done: epochs behind it, the begun one in part.
            epochs: of the schedule in all.
            losses: the validation loss after each whole epoch so far.
        """
        warm_up = self.warm_up * epochs
        return done / warm_up if done < warm_up else self._share(done, epochs, losses)

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        raise NotImplementedError


class Constant(_Schedule, frozen=True, tag="constant"):
    """The same rate throughout."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return 1.0


class Step(_Schedule, frozen=True, tag="step"):
    """The rate times ``factor`` after each ``every`` epochs."""

    every: Count
    factor: _Factor = 0.1

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return self.factor ** (int(done) // self.every)


class Exponential(_Schedule, frozen=True, tag="exponential"):
    """The rate times ``factor`` each epoch, a little at every step."""

    factor: _Factor = 0.9

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return self.factor**done


class Cosine(_Schedule, frozen=True, tag="cosine"):
    """Half a cosine from the rate to its share ``final`` (Loshchilov and Hutter, "SGDR", 2017)."""

    warm_up: Share = 0.1
    final: Share = 0.0

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        warm_up = self.warm_up * epochs
        along = (done - warm_up) / (epochs - warm_up) if epochs > warm_up else 1.0
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * along)) / 2


class Plateau(_Schedule, frozen=True, tag="plateau"):
    """The rate times ``factor`` when the validation loss has not fallen by ``min_delta`` for ``patience`` epochs."""

    patience: Count = 3
    factor: _Factor = 0.1
    min_delta: Annotated[float, Meta(ge=0)] = 1e-4
    final: Share = 0.0
    """The share of the rate that it does not fall below."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        best, waited, share = math.inf, 0, 1.0
        for loss in losses:
            if loss < best - self.min_delta:
                best, waited = loss, 0
                continue
            waited += 1
            if waited == self.patience:
                share, waited = share * self.factor, 0
        return max(share, self.final)


Schedule = Constant | Step | Exponential | Cosine | Plateau
