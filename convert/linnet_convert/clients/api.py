"""What a client is: a program of somebody else's that runs a .tflite and takes its outputs for scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linnet_runtime.bundle import Bundle

MODEL = "model.tflite"  # in each client's folder


class Client(Protocol):
    """Writes the files that one program reads. A new one is a class in a file, and a row in ``registry.CLIENTS``."""

    @property
    def name(self) -> str:
        """Its name after ``--for``, and its folder's: ``"frigate"``."""

    @property
    def usage(self) -> str:
        """What a user does with the files, in one line."""

    def write(self, bundle: Bundle, folder: Path) -> None:
        """Writes ``MODEL`` and what belongs to it into an empty folder. Raises ConversionError where the bundle has no
        model that the client reads rightly.
        """


@dataclass(frozen=True)
class Exported:
    """What was written for a client."""

    client: str
    """The client's name."""
    folder: Path
    """``BUNDLE/for/CLIENT``."""
    usage: str
    """What a user does with the files."""
