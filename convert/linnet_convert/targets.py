"""What a bundle is made for: formats, accelerators that are checked, other people's clients, compilers. Internal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from linnet_convert.choices import some_of
from linnet_convert.clients.registry import CLIENTS, CLIENTS_SETTING
from linnet_convert.compilers.api import Compiler
from linnet_convert.compilers.bundle import compilers_of
from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS
from linnet_devices.api import Format
from linnet_devices.errors import Setting


@dataclass(frozen=True)
class Targets:
    """The targets of each kind, all of them known."""

    formats: tuple[Format, ...] | None = None
    """The formats to write; None: all that the model can become."""
    accelerators: tuple[str, ...] = ()
    """The names in ``ACCELERATORS`` whose requirements are checked."""
    clients: tuple[str, ...] = ()
    """The names in ``CLIENTS`` for which files are written."""
    compilers: dict[str, Compiler] = field(default_factory=dict)
    """Vendors' compilers by the target for which each compiles."""
    features: bool = False
    """Whether the feature artifacts are written."""

    def among(self, reachable: tuple[Format, ...]) -> tuple[Format, ...]:
        """The formats to write, where the model can become these."""
        return reachable if self.formats is None else self.formats

    def require_reachable(self, reachable: tuple[Format, ...], path: Path) -> None:
        """Raises ConversionError where the model at ``path`` cannot become one of the formats, or where none of them is
        for the clients.
        """
        formats = self.among(reachable)
        if out_of_reach := [format for format in formats if format not in reachable]:
            raise ConversionError(
                f"formats for {path}",
                got=",".join(out_of_reach),
                expected="some of " + ",".join(reachable) + ": it cannot become another",
            )
        if self.clients and "tflite" not in formats:
            raise ConversionError(
                CLIENTS_SETTING,
                got="formats " + ",".join(formats),
                expected="tflite among them, which the clients read",
            )


def named_targets(
    formats: Iterable[str] | None,
    check: Iterable[str],
    clients: Iterable[str],
    compile_for: Iterable[str],
    *,
    features: bool,
) -> Targets:
    """The targets with those names. Raises ConversionError for a name that is not known."""
    from linnet_convert.readiness import ACCELERATORS  # imports an engine, which ``verify`` may not have

    return Targets(
        None if formats is None else tuple(some_of(Setting("formats"), formats, FORMATS)),
        tuple(some_of(Setting("check"), check, ACCELERATORS)),
        tuple(some_of(CLIENTS_SETTING, clients, CLIENTS)),
        compilers_of(compile_for, setting=Setting("compile_for", flag="compile")),
        features,
    )
