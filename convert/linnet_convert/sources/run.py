"""A run of ``linnet train`` as a source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import msgspec

import linnet_train.quantization  # noqa: F401  # registers the layers that a quantised model is made of
from linnet_convert.calibration import Calibration, calibration_of_run
from linnet_convert.errors import ConversionError
from linnet_convert.proof.coverage import Coverage, measure_coverage
from linnet_convert.proof.parity import keras_logits
from linnet_convert.source import FORMATS, OnStep
from linnet_convert.writers.keras import write_artifacts
from linnet_devices.api import Format, Logits, Pixels, Precision
from linnet_runtime.bundle import Artifact
from linnet_runtime.photos import Photos, load_run_photos
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
        ConversionError: not a run, or one whose training is not done.
    """
    metrics = _load_metrics(run)
    try:
        spec = msgspec.convert(metrics["preprocess"], type=Preprocess)
        photos = load_run_photos(run, spec)
        return RunSource(
            name=run.resolve().name,
            float_model=keras.saving.load_model(run / "float.keras", compile=False),
            int8_model=keras.saving.load_model(run / "qat.keras", compile=False),
            labels=tuple(metrics["classes"]),
            preprocess=spec,
            calibration=calibration_of_run(run, spec),
            validation=photos["val"],
            metrics={"float_top1": metrics["float"]["top1"], "int8_top1": metrics["qat"]["top1"]},
            temperature=float(metrics.get("temperature", 1.0)),  # runs of Linnet's first days have none
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(str(run), got=str(error), expected="a run of linnet train") from error


def _load_metrics(run: Path) -> dict[str, Any]:
    path = run / "metrics.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        if (run / "config.json").is_file():
            raise ConversionError(
                str(run), got="a run that is not done", expected="a trained one", fix=f"linnet train --resume {run}"
            ) from None
        got = "a folder without metrics.json" if run.exists() else "no such file or folder"
        raise ConversionError(str(run), got=got, expected="a run of linnet train, or a model file") from None
    except (OSError, ValueError) as error:
        raise ConversionError(str(path), got=str(error), expected="the metrics of a run") from error
