"""``convert`` and ``verify``, as Python code and the command line call them. Internal."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from linnet_convert.clients.export import export
from linnet_convert.compilers.bundle import compile_bundle
from linnet_convert.errors import ConversionError
from linnet_convert.progress import OnStep, silent
from linnet_convert.statements import Statements, to_stated
from linnet_convert.targets import Targets, named_targets
from linnet_devices.api import OpenOptions
from linnet_devices.chatter import no_chatter, quiet_tensorflow
from linnet_runtime.bundle import MANIFEST, open_bundle, read_manifest
from linnet_runtime.files.folders import refuse_existing, require_utf8
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.proof.verification import Verdict, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

    from linnet_convert.conversion import Conversion
    from linnet_convert.sources.api import Source
    from linnet_convert.sources.signature import Stated


def convert(
    model: keras.Model | str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    calibrate: str | Path | None = None,
    formats: Iterable[str] | None = None,
    check: Iterable[str] = (),
    clients: Iterable[str] = (),
    compile_for: Iterable[str] = (),
    features: bool = False,
    canary_photos: bool = True,
    max_drop: float | None = None,
    overwrite: bool = False,
    on_step: OnStep = silent,
    **statements: Unpack[Statements],
) -> Conversion:
    """Turns a model into a bundle, in which each artifact has been compared with the model that it was made from.

    A run of ``linnet train`` needs ``model`` and ``out`` only. It needs TensorFlow, and runs for seconds to minutes.

    Args:
        model: a Keras model, or the path of a run, a .tflite, an .onnx, an OpenVINO .xml, a .keras or a SavedModel. A
            Keras model takes uint8 or float32 [N, H, W, 3] and gives logits or probabilities [N, classes]; one from
            ``linnet_train.quantize`` becomes int8 artifacts.
        out: the directory to write: ``"parts.linnet"``.
        data: labelled photos to compare the models on: CLASS/*.jpg, or a run. Without them noise is used, and the
            bundle states no accuracy.
        calibrate: training photos, for int8 artifacts of a float model: CLASS/*.jpg, or a run.
        formats: some of "tflite", "onnx" and "openvino"; the default is all that the model can become.
        check: accelerators whose requirements are checked: "edgetpu", "npu". A model that meets those of "edgetpu" is
            compiled where the Edge TPU's compiler is installed.
        clients: programs of others that get files in the bundle: "mediapipe", "frigate", "pycoral".
        compile_for: targets of vendors' compilers, whose models join the bundle: "ethosu:u65-256".
        features: True adds the feature artifacts, from which ``Classifier.open(explain=True)`` explains labels. The
            model needs an int8 .tflite that ends in global average pooling and one dense layer.
        canary_photos: False keeps photos out of the bundle: noise takes their place in its canaries.
        max_drop: refuse an artifact that may lose more than so many points of top-1 accuracy; needs ``data``.
        overwrite: replace an existing bundle.
        on_step: called with each step that starts: ``on_step=print``.
        **statements: what the model itself does not state, such as ``labels`` and ``mean``; see ``Statements``.

    Raises:
        ConversionError: the model cannot be read or converted, something about it is not stated, or an artifact does
            not agree with it: no bundle is written. A client or a compiler fails: the bundle is written before that.
        LinnetError: photos cannot be read, or ``out`` exists.
    """
    out, stated = Path(out), to_stated(**statements)
    _check_paths(model, out, overwrite=overwrite)
    targets = named_targets(formats, check, clients, compile_for, features=features)
    _load_converter()
    from linnet_convert.conversion import convert_source

    with _as_path(model) as path:
        on_step("loading")
        source = _open(path, stated, targets, data=data, calibrate=calibrate)
        done = convert_source(
            source, out, targets, canary_photos=canary_photos, max_drop=max_drop, overwrite=overwrite, on_step=on_step
        )
    return _with_additions(done, targets, on_step)


def verify(
    bundle: str | Path,
    data: str | Path | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    max_drop: float | None = None,
) -> tuple[Verdict, ...]:
    """Checks a bundle: every hash, each artifact's canaries and, on photos, its accuracy and its agreement with the
    model that it was made from. It needs no TensorFlow.

    Args:
        bundle: the bundle's directory.
        data: labelled photos: CLASS/*.jpg, or a run; None: hashes and canaries only.
        device: where to run, as ``linnet verify --device`` has it; "cpu" is each artifact's own engine.
        threads: of the CPU's engines; None: one a core, at most four.
        max_drop: points of top-1 accuracy that an artifact may lose; needs ``data``.

    Returns:
        A verdict for each artifact that the device reads: ``all(verdict.passed for verdict in verify(...))``.

    Raises:
        BundleError: a file is missing or damaged.
        LinnetError: photos cannot be read, or the device is unknown or failed.
    """
    manifest = open_bundle(Path(bundle))
    photos = None if data is None else load_labelled_photos(Path(data), manifest.labels, manifest.preprocess)
    options = OpenOptions(threads=threads)
    return tuple(verify_bundle(Path(bundle), photos, device=device, options=options, max_drop=max_drop))


def _check_paths(model: keras.Model | str | Path, out: Path, *, overwrite: bool) -> None:
    for path in (out, Path(model)) if isinstance(model, (str, os.PathLike)) else (out,):
        require_utf8(path.absolute(), "the converters open no other", ConversionError)
    refuse_existing(out, overwrite=overwrite, marker=MANIFEST)


def _load_converter() -> None:
    """Imports the conversion and TensorFlow, which takes seconds."""
    _require_tensorflow()
    with no_chatter():
        importlib.import_module("linnet_convert.conversion")


def _require_tensorflow() -> None:
    """The converter is TensorFlow's, whatever the model was trained on."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        quiet_tensorflow()
        return
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConversionError(
            "Keras's backend",
            got=keras.backend.backend(),
            expected="tensorflow, whose converter is used",
            fix="convert in another process: model.save('model.keras'), and KERAS_BACKEND=tensorflow",
        )


@contextmanager
def _as_path(model: keras.Model | str | Path) -> Iterator[Path]:
    """The path of a model; a Keras model is saved below a temporary directory."""
    if isinstance(model, (str, os.PathLike)):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory(prefix="linnet-convert-") as folder:
        path = Path(folder) / f"{model.name}.keras"
        model.save(path)
        yield path


def _open(
    path: Path, stated: Stated, targets: Targets, *, data: str | Path | None, calibrate: str | Path | None
) -> Source:
    """The source at the path, which can become the formats of the targets."""
    from linnet_convert.sources.open import open_source

    source = open_source(path, stated, data=_path(data), calibrate=_path(calibrate))
    targets.require_reachable(source.about.formats, path)
    return source


def _with_additions(done: Conversion, targets: Targets, on_step: OnStep) -> Conversion:
    """Adds files for clients and compiled models to the bundle."""
    done = replace(done, exported=tuple(export(done.path, targets.clients)))
    if not targets.compilers:
        return done
    compiled = compile_bundle(done.path, targets.compilers, on_step=on_step)
    return replace(done, compiled=compiled, bundle=read_manifest(done.path))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
