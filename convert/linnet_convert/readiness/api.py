"""What a check of readiness says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Requirement:
    """One thing that a compiler asks for; "note" is for what it does without, more slowly."""

    what: str
    verdict: Literal["met", "not met", "note"]
    found: str


@dataclass(frozen=True)
class Readiness:
    """A model against the requirements of one accelerator; ``path`` is None where there is no model for it."""

    accelerator: str
    path: str | None
    requirements: tuple[Requirement, ...]

    @property
    def is_ready(self) -> bool:
        return all(requirement.verdict != "not met" for requirement in self.requirements)

    def with_requirement(self, requirement: Requirement) -> Readiness:
        return replace(self, requirements=(*self.requirements, requirement))


def requirement(what: str, offenders: list[str], met: str) -> Requirement:
    """Met where nothing offends; ``met`` then says what was looked at."""
    if not offenders:
        return Requirement(what, "met", met)
    names = sorted(set(offenders))
    return Requirement(
        what, "not met", ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    )
