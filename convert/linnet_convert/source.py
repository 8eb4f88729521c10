"""What a source is: it names the formats that it can become, writes them, and gives its own logits to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from linnet_convert.calibration import Calibration
from linnet_convert.facts import FORMATS
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos import Photos
from linnet_runtime.preprocess import Preprocess

if TYPE_CHECKING:
    import keras

    from linnet_convert.proof.coverage import Coverage

__all__ = ["FORMATS", "OnStep", "Source"]

OnStep = Callable[[str], None]


class Source(Protocol):
    """Something to convert."""

    @property
    def name(self) -> str:
        """The run's or the file's name, as the bundle's provenance has it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """One for each of the model's outputs."""

    @property
    def preprocess(self) -> Preprocess:
        """How a picture becomes its pixels."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """Those that it can become, of ``FORMATS``."""

    @property
    def copied(self) -> tuple[Format, Precision] | None:
        """Of the artifact that is the source's own file, and keeps what that says for its readers."""

    @property
    def validation(self) -> Photos | None:
        """Labelled photos to compare on; None: there are none, and noise takes their place."""

    @property
    def calibration(self) -> Calibration | None:
        """The photos that set the ranges of its int8 form; None: they are in the model that was given."""

    @property
    def metrics(self) -> dict[str, float]:
        """What the bundle says of its accuracy; may be empty."""

    @property
    def temperature(self) -> float:
        """What divides its logits before the softmax; 1 where nobody fitted one."""

    @property
    def models(self) -> dict[Precision, keras.Model]:
        """The Keras model of each precision, "int8" and "float32", where it has one."""

    @property
    def quantized(self) -> keras.Model | None:
        """The quantised Keras model that its int8 artifacts are made of; None: they are made of something else."""

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """How well the ranges of its int8 form, where it has one, fit photos uint8 [N, H, W, 3]; else nothing."""

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """Writes artifacts below a bundle's directory: those of ``formats``, and any that they are made by way of.

        Raises ConversionError with what cannot be converted.
        """

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """uint8 [N, H, W, 3] to what its artifacts are compared with, by "int8" and "float": the name of the model, as
        "keras int8", and its logits float32 [N, classes].
        """
