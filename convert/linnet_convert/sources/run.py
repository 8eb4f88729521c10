"""A run of ``linnet train`` as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

import linnet_train.quantization  # noqa: F401  # registers the layers of a quantized model
from linnet_convert.calibration import Calibration, calibration_of_run
from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS
from linnet_convert.progress import OnStep
from linnet_convert.proof.coverage import Coverage, measure_coverage
from linnet_convert.proof.layerwise import LayerDifference, compare_layers
from linnet_convert.proof.parity import Original, Originals, keras_logits
from linnet_convert.sources.api import About
from linnet_convert.writers.keras import write_artifacts
from linnet_devices.api import Format, Pixels, Precision
from linnet_runtime import run_files
from linnet_runtime.bundle import Artifact


@dataclass(frozen=True)
class RunSource:
    """See ``Source``. The two models of a run, and what the bundle states about them."""

    about: About
    """See ``Source.about``."""
    calibration: Calibration
    """The photos that set the int8 model's first ranges."""
    float_model: keras.Model
    """The float model of the run."""
    int8_model: keras.Model
    """The quantization-aware model of the run."""

    def write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        """See ``Source.write``."""
        models: dict[Precision, keras.Model] = {"int8": self.int8_model, "float32": self.float_model}
        return write_artifacts(models, self.calibration.pixels, root, formats, on_step)

    def originals(self, pixels: Pixels) -> Originals:
        """See ``Source.originals``."""
        return Originals(
            int8=Original("keras int8", keras_logits(self.int8_model, pixels)),
            float32=Original("keras float", keras_logits(self.float_model, pixels)),
        )

    def compare_layers(self, tflite: Path, pixels: Pixels) -> tuple[LayerDifference, ...]:
        """See ``Source.compare_layers``."""
        return compare_layers(self.int8_model, tflite, pixels)

    def coverage(self, pixels: Pixels) -> tuple[Coverage, ...]:
        """See ``Source.coverage``."""
        return measure_coverage(self.int8_model, pixels)


def load_run(run: Path) -> RunSource:
    """Reads a run.

    Raises:
        RunError: not a run, or one whose training is not done.
        ConversionError: its models cannot be read.
    """
    metrics = run_files.load_metrics(run)
    spec = metrics.preprocess
    calibration = calibration_of_run(run, spec)
    about = About(
        name=run.resolve().name,
        labels=metrics.classes,
        preprocess=spec,
        formats=FORMATS,
        validation=run_files.load_run_photos(run, spec)["val"],
        calibration=calibration,
        metrics={"float_top1": metrics.float_model.top1, "int8_top1": metrics.qat.top1},
        temperature=metrics.temperature,
    )
    try:
        float_model, int8_model = (
            keras.saving.load_model(run / name, compile=False) for name in (run_files.FLOAT_MODEL, run_files.QAT_MODEL)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(str(run), got=str(error), expected="a run of linnet train") from error
    return RunSource(about, calibration, float_model, int8_model)
