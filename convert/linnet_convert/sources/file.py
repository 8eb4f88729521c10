"""A model file made elsewhere as a source, whatever its format: what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_convert.calibration import Calibration
from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS, Facts
from linnet_convert.proof.parity import keras_logits, model_logits
from linnet_convert.source import OnStep
from linnet_convert.sources.signature import Signature
from linnet_devices.api import Format, LinnetError, Logits, Model, Pixels, Precision
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos import Photos
from linnet_runtime.preprocess import Preprocess

if TYPE_CHECKING:
    import keras

    from linnet_convert.proof.coverage import Coverage


@dataclass(frozen=True)
class FileSource(ABC):
    """A file, what it says of itself and what its user says of it; see ``Source``.

    ``calibration`` are photos for an int8 form of a float model; None: it stays in float.
    """

    path: Path
    facts: Facts
    signature: Signature
    validation: Photos | None
    calibration: Calibration | None
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
    def copied(self) -> tuple[Format, Precision] | None:
        return next(((form, self.facts.precision) for form in FORMATS if form == self.facts.kind), None)

    @cached_property
    def models(self) -> dict[Precision, keras.Model]:
        """The network in Keras, in float and, with calibration photos, quantised after training."""
        with no_chatter():  # TensorFlow is imported, which models that become no other need not wait for
            from linnet_convert.sources.keras_route import int8_form, takes_pixels

        floats = takes_pixels(self.network, self.signature)
        if self.calibration is None:
            return {"float32": floats}
        return {"int8": int8_form(floats, self._in_its_colours(self.calibration.pixels)), "float32": floats}

    @property
    def quantized(self) -> keras.Model | None:
        """See ``Source.quantized``."""
        made_in_keras = self.calibration is not None or self.facts.kind == "keras"
        return self.models.get("int8") if made_in_keras else None

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``."""
        if self.quantized is None:
            return ()
        from linnet_convert.proof.coverage import (
            measure_coverage,  # Keras, which models that become no other do without
        )

        return measure_coverage(self.quantized, self._in_its_colours(pixels))

    @property
    @abstractmethod
    def network(self) -> keras.Model:
        """The file's float network in Keras, for which its input is normalised and NHWC. Raises ConversionError."""

    @property
    @abstractmethod
    def formats(self) -> tuple[Format, ...]:
        """See ``Source.formats``."""

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """See ``Source.write``."""
        try:
            return self._write(root, formats, on_step)
        except (LinnetError, OSError):
            raise
        except Exception as error:  # of a file that its engine runs, but that is not as the format has it
            raise ConversionError(
                str(self.path),
                got=f"{type(error).__name__}: {error}",
                expected="a model that can be translated",
                fix=f"--formats {self.copied[0]}" if self.copied else None,
            ) from error

    @abstractmethod
    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """Does it, and may raise anything of a file that is odd."""

    @abstractmethod
    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """See ``Source.reference``."""

    def int8_reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """The logits of the quantised network, where there is one."""
        if self.quantized is None:
            return {}
        logits = keras_logits(self.quantized, self._in_its_colours(pixels))
        logits = as_logits(logits, softmax=self.facts.softmax)
        return {"int8": ("keras int8", logits)}

    def own_reference(self, pixels: Pixels, form: Format) -> dict[str, tuple[str, Logits]]:
        """The file's own logits for uint8 [N, H, W, 3], on the CPU engine that reads it."""
        model = Model(
            path=str(self.path.resolve()),
            format=form,
            precision=self.facts.precision,
            input=self.signature.input,
            output=self.signature.output,
        )
        precision = "int8" if model.precision == "int8" else "float"
        return {precision: (self.name, model_logits(model, pixels))}

    def write_network(
        self, precisions: set[Precision], root: Path, formats: set[Format], on_step: OnStep
    ) -> list[Artifact]:
        """Writes artifacts of the network in Keras."""
        on_step("the network in Keras")
        models: dict[Precision, keras.Model] = {precision: self.models[precision] for precision in precisions}
        from linnet_convert.sources.keras_route import write_adapted

        return list(write_adapted(self, models, root, formats, on_step))

    def adapted(self, artifact: Artifact, *, pixels_in: bool = False) -> Artifact:
        """The entry of an artifact that was translated from the file, with the meaning of the file's input and output;
        its names, shapes and types are its own. ``pixels_in``: it normalises by itself.
        """
        given, wanted = self.signature.input, self.signature.output
        mean, std = (None, None) if pixels_in else (given.mean, given.std)
        meant = msgspec.structs.replace(artifact.input, color=given.color, mean=mean, std=std)
        return msgspec.structs.replace(
            artifact, input=meant, output=msgspec.structs.replace(artifact.output, values=wanted.values)
        )

    def normalised(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 RGB [N, H, W, 3] to what the file's float input wants, NHWC."""
        mean, std = self.signature.normalisation
        return ((self._in_its_colours(pixels) - np.array(mean)) / np.array(std)).astype(np.float32)

    def _in_its_colours(self, pixels: Pixels) -> Pixels:
        """RGB in the order that the file wants."""
        return pixels if self.signature.input.color == "rgb" else np.ascontiguousarray(pixels[..., ::-1])


def as_logits(outputs: Logits, *, softmax: bool) -> Logits:
    """Outputs float32 [N, classes] of a model as logits: the logarithm of probabilities."""
    if not softmax:
        return outputs
    return np.log(np.maximum(outputs, np.float32(1e-7)))
