"""A Keras model file as a source, made elsewhere or by Linnet."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import keras

from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Original, Originals, keras_logits
from linnet_convert.readers.keras import load
from linnet_convert.sources.network import NetworkSource
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime.bundle import Artifact


class KerasSource(NetworkSource):
    """See ``Source``. With calibration photos the model gets an int8 form, quantized after training."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return FORMATS

    @cached_property
    def network(self) -> keras.Model:
        """The model in the file."""
        return load(self.path)

    @cached_property
    def models(self) -> dict[Precision, keras.Model]:
        return {"int8": self.network} if self.facts.precision == "int8" else super().models

    @property
    def quantized(self) -> keras.Model | None:
        return self.models.get("int8")

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step("loading" if self.calibration is None else "quantizing")
        return tuple(self.write_models(self.models, root, formats, on_step))

    def originals(self, pixels: Pixels) -> Originals:
        quantized = self.quantized_original(pixels)
        if "float32" not in self.models:
            return Originals(int8=quantized)
        own = keras_logits(self.network, self.normalized(pixels))
        return Originals.of_quantized_here(quantized, Original(self.path.name, self.as_logits(own)))
