"""A .keras made elsewhere, or one of Linnet's own, as a source."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import keras

from linnet_convert.proof.parity import keras_logits
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.sources.file import FileSource, as_logits
from linnet_convert.sources.keras_route import write_adapted
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_runtime.bundle import Artifact


class KerasSource(FileSource):
    """A .keras; see ``Source``. With calibration photos it gets an int8 form, quantised after training."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return FORMATS

    @cached_property
    def network(self) -> keras.Model:
        """What is in the file."""
        return keras.saving.load_model(self.path, compile=False, safe_mode=True)

    @cached_property
    def models(self) -> dict[Precision, keras.Model]:
        return {"int8": self.network} if self.facts.precision == "int8" else super().models

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step("quantising" if self.calibration is not None else "loading")
        return write_adapted(self, self.models, root, formats, on_step)

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        found = self.int8_reference(pixels)
        if "float32" in self.models:
            own = keras_logits(self.network, self.normalised(pixels))
            found["float"] = (self.name, as_logits(own, softmax=self.facts.softmax))
        return found
