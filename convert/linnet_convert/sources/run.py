"""A run of ``linnet train`` as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

import linnet_train.quantization  # noqa: F401  # registers the layers that a quantised model is made of
from linnet_convert.calibration import Calibration, calibration_of_run
from linnet_convert.errors import ConversionError
from linnet_convert.proof.coverage import Coverage, measure_coverage
from linnet_convert.proof.parity import keras_logits
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.writers.keras import write_artifacts
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_runtime import run_files
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos import Photos
from linnet_runtime.preprocess import Preprocess


@dataclass(frozen=True)
class RunSource:
    """The two models of a run, and what the bundle says of them."""

    name: str
    float_model: keras.Model
    int8_model: keras.Model
    labels: tuple[str, ...]
    preprocess: Preprocess
    calibration: Calibration
    validation: Photos
    metrics: dict[str, float]
    temperature: float
    formats: tuple[Format, ...] = FORMATS
    copied: tuple[Format, Precision] | None = None

    @property
    def models(self) -> dict[Precision, keras.Model]:
        return {"int8": self.int8_model, "float32": self.float_model}

    @property
    def quantized(self) -> keras.Model:
        return self.int8_model

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``."""
        return measure_coverage(self.int8_model, pixels)

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """See ``Source.write``."""
        return write_artifacts(self.models, self.calibration.pixels, root, formats, on_step)

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        """See ``Source.reference``."""
        return {
            "int8": ("keras int8", keras_logits(self.int8_model, pixels)),
            "float": ("keras float", keras_logits(self.float_model, pixels)),
        }


def load_run(run: Path) -> RunSource:
    """Reads a run.

    Raises:
        RunError: not a run, or one whose training is not done.
        ConversionError: its models cannot be read.
    """
    metrics = run_files.load_metrics(run)
    spec = metrics.preprocess
    photos = run_files.load_run_photos(run, spec)
    try:
        return RunSource(
            name=run.resolve().name,
            float_model=keras.saving.load_model(run / run_files.FLOAT_MODEL, compile=False),
            int8_model=keras.saving.load_model(run / run_files.QAT_MODEL, compile=False),
            labels=metrics.classes,
            preprocess=spec,
            calibration=calibration_of_run(run, spec),
            validation=photos["val"],
            metrics={"float_top1": metrics.float_model.top1, "int8_top1": metrics.qat.top1},
            temperature=metrics.temperature,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(str(run), got=str(error), expected="a run of linnet train") from error
