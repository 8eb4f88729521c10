"""A model file whose float network can be built in Keras: it is quantized there, and written in formats that its own
file cannot become directly.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Original, keras_logits
from linnet_convert.sources.file import FileSource
from linnet_devices.api import Format, Pixels, Precision
from linnet_devices.chatter import no_chatter
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras

    from linnet_convert.proof.coverage import Coverage
    from linnet_convert.proof.layerwise import LayerDifference


class NetworkSource(FileSource):
    """See ``Source``. Keras is imported only when the network is built: most conversions do not need it."""

    @property
    @abstractmethod
    def network(self) -> keras.Model:
        """The file's float network: float32 [N, H, W, 3], normalized, in; [N, classes] out.

        Raises:
            ConversionError: an operator that has no Keras layer, by its name.
        """

    @cached_property
    def models(self) -> dict[Precision, keras.Model]:
        """The network with pixels uint8 [N, H, W, 3] in: in float and, with calibration photos, quantized."""
        with no_chatter():
            from linnet_convert.sources.pixel_models import int8_form, takes_pixels

        floats = takes_pixels(self.network, self.signature)
        if self.calibration is None:
            return {"float32": floats}
        return {"int8": int8_form(floats, self.in_its_colors(self.calibration.pixels)), "float32": floats}

    @property
    def quantized(self) -> keras.Model | None:
        """The quantized Keras model that its int8 artifacts are made from; None: they are made from the file."""
        return None if self.calibration is None else self.models["int8"]

    def write_models(
        self, models: dict[Precision, keras.Model], root: Path, formats: set[Format], on_step: OnStep
    ) -> list[Artifact]:
        """Writes artifacts of ``models``, or of one of them."""
        from linnet_convert.sources.pixel_models import write_pixel_models

        photos = self.calibration or self.validation
        written = write_pixel_models(
            models, self.signature.preprocess, None if photos is None else photos.pixels, root, formats, on_step
        )
        return [self.adapted(artifact, takes_pixels=True) for artifact in written]

    def quantized_original(self, pixels: Pixels) -> Original | None:
        """The quantized Keras model's logits for uint8 RGB [N, H, W, 3]; None where there is none."""
        if self.quantized is None:
            return None
        return Original("keras int8", self.as_logits(keras_logits(self.quantized, self.in_its_colors(pixels))))

    def compare_layers(self, tflite: Path, pixels: Pixels) -> tuple[LayerDifference, ...]:
        if self.quantized is None:
            return ()
        from linnet_convert.proof.layerwise import compare_layers

        return compare_layers(self.quantized, tflite, pixels)

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        if self.quantized is None:
            return ()
        from linnet_convert.proof.coverage import measure_coverage

        return measure_coverage(self.quantized, self.in_its_colors(pixels))
