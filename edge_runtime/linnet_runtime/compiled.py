"""What a bundle states about a model that a vendor's compiler made. Internal."""

from __future__ import annotations

import msgspec

from linnet_devices.api import Tier


class Compiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an artifact was compiled, and how it was compared with the model that it was compiled from.

    Some compilers quantize again, so a compiled artifact may give other labels than its source: see ``tier``.
    """

    compiler: str
    """The compiler's name: ``"ethos-u-vela"``."""
    version: str
    """Its version."""
    target: str
    """The chip or board: ``"ethosu:u65-256"``."""
    source_sha256: str
    """The SHA-256 of the artifact that it was compiled from, in hexadecimal. If no artifact of the bundle has it,
    the compiled one is stale."""
    options: dict[str, str] = {}
    """The options that the compiler was called with."""
    mapped: int | None = None
    """The number of operators that run on the accelerator; None if the compiler does not report it."""
    on_cpu: dict[str, int] | None = None
    """The operators that stay on the CPU, and the number of each; None if the compiler does not report them."""
    on_chip_bytes: int | None = None
    """The memory that the model needs on the chip, in bytes."""
    off_chip_bytes: int | None = None
    """The memory that the model needs off the chip, in bytes."""
    estimated_ms: float | None = None
    """The compiler's own estimate of the latency in milliseconds. It is not a measurement."""
    license: str | None = None
    """A note, if the tool's license restricts the use of the compiled model."""
    tier: Tier = "none"
    """What the artifact was run on when its ``parity`` was measured; ``"none"``: it was not run."""
