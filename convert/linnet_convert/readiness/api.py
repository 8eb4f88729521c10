"""The findings of a readiness check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Requirement:
    """One requirement of a compiler."""

    what: str
    """The requirement in words."""
    verdict: Literal["met", "not met", "note"]
    """"note": the compiler accepts the model, which will run more slowly."""
    found: str
    """What was found in the model."""


@dataclass(frozen=True)
class Readiness:
    """A model against the requirements of one accelerator."""

    accelerator: str
    """The accelerator: "edgetpu", "npu"."""
    path: str | None
    """The artifact, relative to the bundle; None where the bundle has no model in its format."""
    requirements: tuple[Requirement, ...]
    """Each requirement and whether it is met."""

    @property
    def is_ready(self) -> bool:
        return all(requirement.verdict != "not met" for requirement in self.requirements)

    def with_requirement(self, requirement: Requirement) -> Readiness:
        return replace(self, requirements=(*self.requirements, requirement))


def requirement(what: str, offenders: list[str], met: str) -> Requirement:
    """A requirement that is met where there are no ``offenders``; ``met`` then states what was checked."""
    if not offenders:
        return Requirement(what, "met", met)
    names = sorted(set(offenders))
    return Requirement(
        what, "not met", ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    )
