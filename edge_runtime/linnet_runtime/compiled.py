"""What a bundle states about a model that a vendor's compiler made. Internal."""

from __future__ import annotations

import msgspec

from linnet_devices.api import Tier


class Compiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an artifact was compiled, and how it was compared with the model that it was compiled from.

    Some compilers quantize again. A compiled artifact is therefore not "the same model" until it was run: see ``tier``.
    """

    compiler: str
    """The compiler's name: ``"ethos-u-vela"``."""
    version: str
    """Its version."""
    target: str
    """The chip or board: ``"ethosu:u65-256"``."""
    source_sha256: str
    """The SHA-256 of the artifact that it was compiled from, in hexadecimal. Where no artifact of the bundle has it,
    the compiled one is stale."""
    options: dict[str, str] = {}
    """The options that the compiler was called with."""
    mapped: int | None = None
    """The number of operators that run on the accelerator; None where the compiler does not report it."""
    on_cpu: dict[str, int] | None = None
    """The operators that stay on the CPU, and how many of each; None where the compiler does not report them."""
    on_chip_bytes: int | None = None
    """Memory on the chip that the model needs."""
    off_chip_bytes: int | None = None
    """Memory off the chip that the model needs."""
    estimated_ms: float | None = None
    """The compiler's own estimate of the latency in milliseconds. It was not measured."""
    license: str | None = None
    """A note on the tool's license, where what it makes may not be used freely."""
    tier: Tier = "none"
    """What the artifact was run on when its ``parity`` was measured; ``"none"``: it was not run."""
