"""Learning-rate schedules: the share of the learning rate at each step. In a recipe, a table's ``name`` selects one."""

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
    """The settings of every schedule."""

    warm_up: Share = 0.0
    """The share of the epochs in which the rate rises from zero. Without it, the first steps at a high rate would
    destroy pretrained weights (Goyal et al., 2017).
    """

    def share_at(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        """The share of the learning rate.

        Args:
            done: the finished epochs, not necessarily a whole number.
            epochs: all epochs of the schedule.
            losses: the validation loss after each finished epoch.
        """
        warm_up = self.warm_up * epochs
        return done / warm_up if done < warm_up else self._share(done, epochs, losses)

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        raise NotImplementedError


class Constant(_Schedule, frozen=True, tag="constant"):
    """The rate does not change."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return 1.0


class Step(_Schedule, frozen=True, tag="step"):
    """The rate falls in steps."""

    every: Count
    """The epochs between two steps."""
    factor: _Factor = 0.1
    """The factor of each step."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return self.factor ** (int(done) // self.every)


class Exponential(_Schedule, frozen=True, tag="exponential"):
    """The rate falls exponentially, a little at every step."""

    factor: _Factor = 0.9
    """The factor per epoch."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        return self.factor**done


class Cosine(_Schedule, frozen=True, tag="cosine"):
    """The rate falls along half a cosine (Loshchilov and Hutter, "SGDR", 2017)."""

    warm_up: Share = 0.1
    """As in the other schedules."""
    final: Share = 0.0
    """The share of the rate at the end."""

    def _share(self, done: float, epochs: int, losses: Sequence[float]) -> float:
        warm_up = self.warm_up * epochs
        along = (done - warm_up) / (epochs - warm_up) if epochs > warm_up else 1.0
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * along)) / 2


class Plateau(_Schedule, frozen=True, tag="plateau"):
    """The rate falls when the validation loss no longer does."""

    patience: Count = 3
    """The epochs without a lower validation loss after which the rate falls."""
    factor: _Factor = 0.1
    """The factor each time."""
    min_delta: Annotated[float, Meta(ge=0)] = 1e-4
    """A validation loss is lower if it is lower by at least this."""
    final: Share = 0.0
    """The share of the rate below which it does not fall."""

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
