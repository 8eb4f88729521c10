"""What a compiler is: ``Compiler`` names its targets and compiles one file, ``Product`` is what it made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from linnet_devices.api import Format, Probe, TensorSpec
from linnet_runtime.bundle import Artifact, Bundle


@dataclass(frozen=True)
class Job:
    """One artifact to compile for one target."""

    bundle: Bundle
    """The open bundle, whose paths begin with its folder."""
    artifact: Artifact
    """The int8 artifact to compile, in one of the compiler's formats."""
    target: str
    """One of the compiler's targets: ``"ethosu:u65-256"``."""
    folder: Path
    """An empty folder for the files that the compiler makes. Only those of the ``Product`` are kept."""
    log: Path
    """The file for everything that the vendor's tool prints."""
    within_s: float
    """The most seconds that the vendor's tool may run."""

    @property
    def what(self) -> str:
        """The job in an error: ``"model.int8.tflite for ethosu:u65-256"``."""
        return f"{Path(self.artifact.path).name} for {self.target}"


@dataclass(frozen=True)
class Product:
    """What a compiler made. A field that it does not report is None."""

    path: Path
    """The compiled model, in the folder of the job."""
    format: str
    """The compiler's format: ``"vela"``."""
    version: str
    """The version of the vendor's tool."""
    options: dict[str, str]
    """The options that the tool was called with."""
    mapped: int | None = None
    """As in ``Compiled``, and so are the four fields below."""
    on_cpu: dict[str, int] | None = None
    on_chip_bytes: int | None = None
    off_chip_bytes: int | None = None
    estimated_ms: float | None = None
    requires: dict[str, str] = field(default_factory=dict)
    """As ``Artifact.requires``."""
    beside: tuple[Path, ...] = ()
    """Further files for people and other programs, in the folder of the job. The manifest does not name them."""
    ends: tuple[TensorSpec, TensorSpec] | None = None
    """Input and output, where they are not those of the artifact that was compiled."""


class Compiler(Protocol):
    """A vendor's compiler. A new one is a class in a file, and a row in ``registry.COMPILERS``."""

    @property
    def name(self) -> str:
        """The vendor's name for it: ``"ethos-u-vela"``."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The chips and boards that it compiles for. Each begins with the compiler's name in the registry."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that it reads, best first."""

    @property
    def license(self) -> str | None:
        """A note, if the tool's license restricts the use of the compiled model; else None."""

    def probe(self) -> Probe:
        """Whether the vendor's tool is available. Never raises."""

    def compile(self, job: Job) -> Product:
        """Runs the vendor's tool.

        Raises:
            ConversionError: the tool is missing, fails, takes too long or writes no model.
        """
