"""A model file made elsewhere as a source, whatever its format: what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from linnet_convert.parity import artifact_logits
from linnet_convert.sources.api import OnStep
from linnet_convert.sources.facts import Facts
from linnet_convert.sources.flags import Signature
from linnet_devices.api import Artifact, Format, Logits, Pixels, Precision
from linnet_runtime.photos import Photos
from linnet_runtime.preprocess import Preprocess

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class FileSource(ABC):
    """A file, what it says of itself and what its user says of it; see ``Source``.

    ``calibration`` are photos for an int8 form of a float model; None: it stays in float.
    """

    path: Path
    facts: Facts
    signature: Signature
    validation: Photos | None
    calibration: Photos | None
    metrics: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.signature.labels

    @property
    def preprocess(self) -> Preprocess:
        return self.signature.preprocess

    @property
    def models(self) -> dict[Precision, keras.Model]:
        return {}

    @property
    @abstractmethod
    def formats(self) -> tuple[Format, ...]:
        """See ``Source.formats``."""

    @abstractmethod
    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """See ``Source.write``."""

    @abstractmethod
    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """See ``Source.reference``."""

    def own_logits(self, pixels: Pixels, form: Format) -> Logits:
        """The file's own logits for uint8 [N, H, W, 3], on the CPU engine that reads it."""
        artifact = Artifact(
            path=str(self.path.resolve()),
            format=form,
            precision=self.facts.precision,
            bytes=0,
            sha256="",
            input=self.signature.input,
            output=self.signature.output,
        )
        return artifact_logits(artifact, Path("/"), pixels)

    def adapted(self, artifact: Artifact) -> Artifact:
        """The entry of an artifact that was translated from the file, with the meaning of the file's input and output;
        its names, shapes and types are its own.
        """
        given, wanted = self.signature.input, self.signature.output
        meant = msgspec.structs.replace(artifact.input, color=given.color, mean=given.mean, std=given.std)
        return msgspec.structs.replace(
            artifact, input=meant, output=msgspec.structs.replace(artifact.output, values=wanted.values)
        )


def as_logits(outputs: Logits, *, softmax: bool) -> Logits:
    """Outputs float32 [N, classes] of a model as logits: the logarithm of probabilities."""
    if not softmax:
        return outputs
    return np.log(np.maximum(outputs, np.float32(1e-7)))
