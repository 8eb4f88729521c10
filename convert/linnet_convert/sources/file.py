"""A model file made elsewhere as a source: what all formats share."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_convert.calibration import Calibration
from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS, Facts
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Original, Originals, model_logits
from linnet_convert.sources.api import About
from linnet_convert.sources.signature import Signature
from linnet_devices.api import Format, LinnetError, Logits, Model, Pixels, Precision, TensorSpec
from linnet_devices.errors import Setting
from linnet_devices.session import OutputAdapter
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos.listing import Photos

if TYPE_CHECKING:
    from linnet_convert.proof.coverage import Coverage
    from linnet_convert.proof.layerwise import LayerDifference


@dataclass(frozen=True)
class FileSource(ABC):
    """See ``Source``."""

    path: Path
    """The file, or the folder of a SavedModel."""
    facts: Facts
    """What the file states."""
    signature: Signature
    """What the file and its user state together."""
    validation: Photos | None
    """Labelled photos to compare models on; None: there are none."""
    calibration: Calibration | None
    """Calibration photos for an int8 form of a float model; None: it stays in float."""

    @property
    def about(self) -> About:
        return About(
            name=self.path.name,
            labels=self.signature.labels,
            preprocess=self.signature.preprocess,
            formats=self.formats,
            copied=self.copied,
            validation=self.validation,
            calibration=self.calibration,
        )

    @property
    @abstractmethod
    def formats(self) -> tuple[Format, ...]:
        """See ``About.formats``."""

    @property
    def copied(self) -> tuple[Format, Precision] | None:
        """See ``About.copied``."""
        return next(((format, self.facts.precision) for format in FORMATS if format == self.facts.kind), None)

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """See ``Source.write``."""
        try:
            return self._write(root, formats, on_step)
        except (LinnetError, OSError):
            raise
        except Exception as error:  # for a file that its engine runs although it breaks the rules of its format
            raise ConversionError(
                str(self.path),
                got=f"{type(error).__name__}: {error}",
                expected="a model that can be translated",
                fix=Setting("formats", self.facts.kind) if self.facts.kind in FORMATS else None,
            ) from error

    @abstractmethod
    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """Does the work of ``write``; may raise anything for a damaged file."""

    @abstractmethod
    def originals(self, pixels: Pixels) -> Originals:
        """See ``Source.originals``."""

    def compare_layers(self, tflite: Path, pixels: Pixels) -> tuple[LayerDifference, ...]:
        """See ``Source.compare_layers``."""
        return ()

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``."""
        return ()

    def run_file(self, pixels: Pixels, format: Format, copy: Callable[[Path], Path]) -> Original:
        """The file's logits for uint8 [N, H, W, 3], on the CPU engine that reads it.

        Args:
            pixels: the photos.
            format: of the file.
            copy: writes the file below a bundle's directory, with its open dimensions closed. The reader has compared
                that with the file as it is.
        """
        with tempfile.TemporaryDirectory() as folder:
            model = Model(
                path=str(copy(Path(folder))),
                format=format,
                precision=self.facts.precision,
                input=self.signature.input,
                output=self.signature.output,
            )
            return Original(self.path.name, model_logits(model, pixels))

    def adapted(self, artifact: Artifact, *, takes_pixels: bool = False) -> Artifact:
        """The manifest's entry of an artifact that was translated from the file, with the meaning of the file's input
        and output: color order, normalization, logits or probabilities. ``takes_pixels``: it normalizes them itself.
        """
        given, wanted = self.signature.input, self.signature.output
        mean, std = (None, None) if takes_pixels else (given.mean, given.std)
        meant = msgspec.structs.replace(artifact.input, color=given.color, mean=mean, std=std)
        output = msgspec.structs.replace(artifact.output, values=wanted.values)
        if not takes_pixels and output.scale is None:  # the file's own operators turn steps into floats
            output = msgspec.structs.replace(output, scale=wanted.scale, zero_point=wanted.zero_point)
        return msgspec.structs.replace(artifact, input=meant, output=output)

    def normalized(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 RGB [N, H, W, 3] as the file's float input, NHWC."""
        mean, std = self.signature.normalization
        return ((self.in_its_colors(pixels) - np.array(mean)) / np.array(std)).astype(np.float32)

    def in_its_colors(self, pixels: Pixels) -> Pixels:
        """uint8 RGB [N, H, W, 3] in the color order of the file's input."""
        return pixels if self.signature.input.color == "rgb" else np.ascontiguousarray(pixels[..., ::-1])

    def as_logits(self, outputs: Logits) -> Logits:
        """Outputs of the file, float32 [N, classes], as the logits that a session gives."""
        row = (1, outputs.shape[1])
        spec = TensorSpec(name="outputs", shape=row, dtype="float32", layout="NC", values=self.facts.values)
        adapter = OutputAdapter(spec)
        return np.concatenate([adapter(output.reshape(row)) for output in outputs])
