"""The protocol of a source: it describes itself, writes artifacts, and gives the logits that they are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from linnet_convert.calibration import Calibration
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Originals
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos.listing import Photos
from linnet_runtime.preprocess import Preprocess

if TYPE_CHECKING:
    from linnet_convert.proof.coverage import Coverage
    from linnet_convert.proof.layerwise import LayerDifference


@dataclass(frozen=True, kw_only=True)
class About:
    """What a bundle states about a source, and the photos that come with it."""

    name: str
    """The run's or the file's name, which the bundle keeps as its provenance."""
    labels: tuple[str, ...]
    """One for each output of the model."""
    preprocess: Preprocess
    """How a picture becomes the model's pixels."""
    formats: tuple[Format, ...]
    """The formats that it can become, in the order of ``FORMATS``."""
    copied: tuple[Format, Precision] | None = None
    """Format and precision of the artifact that is the source's own file: it keeps the metadata that it came with."""
    validation: Photos | None = None
    """Labelled photos to compare models on; None: noise takes their place."""
    calibration: Calibration | None = None
    """The photos that set the ranges of its int8 form; None: the model came with its ranges, or stays in float."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Its measured accuracy: {"float_top1": 0.85, "int8_top1": 0.85} for a run, {} for a model file."""
    temperature: float = 1.0
    """Divides its logits before the softmax; 1 where none was fitted."""


class Source(Protocol):
    """Something to convert."""

    @property
    def about(self) -> About:
        """What a bundle states about it."""

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """Writes artifacts below a bundle's directory: those of ``formats``, and those that they are made from.

        Raises:
            ConversionError: what cannot be converted.
        """

    def originals(self, pixels: Pixels) -> Originals:
        """The models that its artifacts are compared with, and their logits for uint8 [N, H, W, 3]."""

    def compare_layers(self, tflite: Path, pixels: Pixels) -> tuple[LayerDifference, ...]:
        """Each stored tensor of its int8 .tflite against the quantized Keras model that it was made from, on photos
        uint8 [N, H, W, 3]; () where it was made from something else.
        """

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """How well the ranges that were set for its int8 form fit photos uint8 [N, H, W, 3]; () where none were set."""
