"""The source at a path: a run or a kind of model file, with what the file and its user state."""

from __future__ import annotations

import logging
from pathlib import Path
from pkgutil import resolve_name

from linnet_convert.calibration import load_calibration
from linnet_convert.errors import ConversionError
from linnet_convert.facts import Kind
from linnet_convert.readers.examine import examine
from linnet_convert.sources.api import Source
from linnet_convert.sources.file import FileSource
from linnet_convert.sources.signature import Stated, signature
from linnet_devices.chatter import no_chatter
from linnet_runtime.files.folders import open_regular
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.run_files import CONFIG, METRICS

logger = logging.getLogger("linnet")

_SUFFIXES: dict[str, Kind] = {
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".xml": "openvino",
    ".keras": "keras",
    ".h5": "keras",
}
_SOURCES = {
    "tflite": "linnet_convert.sources.tflite:TfliteSource",
    "onnx": "linnet_convert.sources.onnx:OnnxSource",
    "openvino": "linnet_convert.sources.openvino:OpenVinoSource",
    "keras": "linnet_convert.sources.keras:KerasSource",
    "saved_model": "linnet_convert.sources.saved_model:SavedModelSource",
}
_SAVED_MODEL = "saved_model.pb"
_PATTERN = frozenset("*?[\\")
_EXPECTED = "a run of linnet train, a SavedModel, or a file " + ", ".join(_SUFFIXES)


def open_source(path: Path, stated: Stated, *, data: Path | None, calibrate: Path | None) -> Source:
    """Opens a run, or a model made elsewhere.

    Args:
        path: of the run or the model.
        stated: what the user states about a model; nothing for a run, which states everything itself.
        data: labelled photos to compare on.
        calibrate: calibration photos, for an int8 form of a float model.

    Raises:
        ConversionError: it cannot be read or used, or neither it nor the user states what has to be known.
    """
    try:
        kind = _kind(path)
    except OSError as error:
        raise ConversionError(str(path), got=error.strerror, expected=_EXPECTED) from error
    if kind is not None:
        return _open_file(path, kind, stated, data, calibrate)
    if not path.exists():
        raise ConversionError(str(path), got="no such file or folder", expected=_EXPECTED, fix="check the path")
    if not ((path / METRICS).exists() or (path / CONFIG).exists()):
        raise ConversionError(
            str(path),
            got="a folder that is neither a run nor a SavedModel",
            expected=_EXPECTED,
            fix=f"linnet train {path} --out RUN makes a run of photos",
        )
    given = stated.given() + [name for name, folder in (("data", data), ("calibrate", calibrate)) if folder]
    if given:
        raise ConversionError(f"{path} is a run", got=", ".join(given), expected="none: a run states them itself")
    with no_chatter():  # imports TensorFlow, which most model files do not need
        from linnet_convert.sources.run import load_run

    return load_run(path)


def _open_file(path: Path, kind: Kind, stated: Stated, data: Path | None, calibrate: Path | None) -> Source:
    try:
        with open_regular(path / _SAVED_MODEL if path.is_dir() else path) as file:
            file.read(1)
    except OSError as error:
        raise ConversionError(str(path), got=error.strerror, expected=_EXPECTED) from error
    if kind == "saved_model" and _PATTERN.intersection(str(path.absolute())):
        raise ConversionError(
            str(path),
            got="a SavedModel in a path with one of * ? [ \\",
            expected="none of them, which TensorFlow takes for a pattern",
            fix="rename the folder",
        )
    facts = examine(kind, path, stated.sides)
    if calibrate is not None and (facts.precision == "int8" or kind == "openvino"):
        got = "a model that is int8 already" if facts.precision == "int8" else "an IR, which becomes nothing else"
        raise ConversionError(f"calibration photos for {path}", got=got, expected="a float model")
    used = signature(str(path), facts, stated)
    for warning in facts.warnings():
        logger.warning("%s: %s", path, warning)
    validation = load_labelled_photos(data, used.labels, used.preprocess) if data else None
    calibration = load_calibration(calibrate, used.labels, used.preprocess) if calibrate else None
    with no_chatter():
        source: type[FileSource] = resolve_name(_SOURCES[kind])
    return source(path, facts, used, validation, calibration)


def _kind(path: Path) -> Kind | None:
    """None for a run."""
    if (path / _SAVED_MODEL).exists():
        return "saved_model"
    if path.is_dir() or (not path.exists() and not path.suffix):
        return None
    if path.suffix.lower() not in _SUFFIXES:
        if not path.exists():
            raise ConversionError(str(path), got="no such file", expected=_EXPECTED, fix="check the path")
        raise ConversionError(
            str(path),
            got=f"a file {path.suffix or 'without a suffix'}",
            expected=_EXPECTED,
            fix="give the model's file, or the folder of the run or of the SavedModel",
        )
    return _SUFFIXES[path.suffix.lower()]
