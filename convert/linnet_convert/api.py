"""``convert`` and ``verify``, as Python code and the command line call them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.facts import CHANNELS, FORMATS, Triple, triple
from linnet_convert.progress import OnStep, silent
from linnet_convert.sources.signature import Stated
from linnet_devices.api import Format, OpenOptions
from linnet_devices.chatter import no_chatter, quiet_tensorflow
from linnet_devices.errors import Setting
from linnet_runtime.bundle import MANIFEST, open_bundle
from linnet_runtime.files import refuse_existing
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.preprocess import CROPS, Crop
from linnet_runtime.proof.verification import Verdict, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

    from linnet_convert.conversion import Conversion

Name = TypeVar("Name", bound=str)
_CHOICES = {"layout": ("NHWC", "NCHW"), "color": ("rgb", "bgr"), "crop": CROPS}


def convert(
    model: keras.Model | str | Path,
    out: str | Path,
    *,
    labels: Sequence[str] | Path | None = None,
    mean: float | Triple | None = None,
    std: float | Triple | None = None,
    layout: Literal["NHWC", "NCHW"] | None = None,
    color: Literal["rgb", "bgr"] | None = None,
    crop: Crop | None = None,
    size: int | None = None,
    data: str | Path | None = None,
    calibrate: str | Path | None = None,
    formats: Iterable[str] | None = None,
    check: Iterable[str] = (),
    canary_photos: bool = True,
    max_drop: float | None = None,
    overwrite: bool = False,
    on_step: OnStep = silent,
) -> Conversion:
    """Turns a model into a bundle, in which each artifact has been compared with the model that it was made from.

    A run of ``linnet train`` needs ``model`` and ``out`` only: the run states the rest. For any other model ``labels``,
    ``mean``, ``std``, ``layout``, ``color``, ``crop`` and ``size`` state what the model itself does not; where both
    state something, the argument wins. Conversion needs TensorFlow, and runs for seconds to minutes.

    Args:
        model: a Keras model, or the path of a run, a .tflite, an .onnx, an OpenVINO .xml, a .keras or a SavedModel. A
            Keras model takes uint8 or float32 [N, H, W, 3] and gives logits or probabilities [N, classes]; one from
            ``linnet_train.quantize`` becomes int8 artifacts.
        out: the directory to write: ``"parts.linnet"``.
        labels: a label for each output, in order, or the path of a file with one a line.
        mean: the model's input is (pixel - mean) / std, where a pixel is 0..255; one number, or one for each of red,
            green and blue. A model that takes pixels as they are has mean 0 and std 1.
        std: see ``mean``.
        layout: the order of the input's axes.
        color: the order of the input's channels.
        crop: how a picture is fitted into the input: its centre, stretched, or padded with a border. The default is
            "centre".
        size: height and width in pixels, for a model that leaves them open.
        data: labelled photos to compare the models on: CLASS/*.jpg, or a run. Without them noise is used, and the
            bundle states no accuracy.
        calibrate: training photos, for int8 artifacts of a float model: CLASS/*.jpg, or a run.
        formats: some of "tflite", "onnx" and "openvino"; the default is all that the model can become.
        check: accelerators whose requirements are checked: "edgetpu", "npu". A model that meets those of "edgetpu" is
            compiled where the Edge TPU's compiler is installed.
        canary_photos: False keeps photos out of the bundle: noise takes their place in its canaries.
        max_drop: refuse an artifact that may lose more than so many points of top-1 accuracy; needs ``data``.
        overwrite: replace an existing bundle.
        on_step: called with each step that starts: ``on_step=print``.

    Returns:
        The bundle's path, its manifest, what each artifact computes in, and the findings of ``check``.

    Raises:
        ConversionError: the model cannot be read or converted, something about it is not stated, or an artifact does
            not agree with it. No bundle is written.
        LinnetError: photos cannot be read, or ``out`` exists.
    """
    out = Path(out)
    refuse_existing(out, overwrite=overwrite, marker=MANIFEST)
    _check_choices(layout=layout, color=color, crop=crop)
    mean, std = _triple("mean", mean), _triple("std", std)
    stated = Stated(labels=_labels(labels), mean=mean, std=std, layout=layout, color=color, crop=crop, size=size)
    wanted = None if formats is None else _some_of("formats", formats, FORMATS)
    _require_tensorflow()
    with no_chatter():  # imports TensorFlow, which takes seconds
        from linnet_convert.conversion import convert_source
        from linnet_convert.readiness import ACCELERATORS
        from linnet_convert.sources.open import open_source

    accelerators = _some_of("check", check, ACCELERATORS)
    with _as_path(model) as path:
        on_step("loading")
        source = open_source(path, stated, data=_path(data), calibrate=_path(calibrate))
        return convert_source(
            source,
            out,
            formats=_reachable(path, wanted, source.about.formats),
            canary_photos=canary_photos,
            overwrite=overwrite,
            accelerators=accelerators,
            on_step=on_step,
            max_drop=max_drop,
        )


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


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _labels(labels: Sequence[str] | Path | None) -> tuple[str, ...] | Path | None:
    if isinstance(labels, (str, os.PathLike)):
        return Path(labels)
    return None if labels is None else tuple(labels)


def _triple(argument: str, numbers: float | Sequence[float] | None) -> Triple | None:
    if numbers is None:
        return None
    found = triple([float(number) for number in np.atleast_1d(numbers)])
    if found is None:
        raise ConversionError(Setting(argument), got=numbers, expected=f"one number, or {CHANNELS}")
    return found


def _check_choices(**arguments: str | None) -> None:
    """Raises ConversionError for an argument with a value that is none of its choices."""
    for argument, value in arguments.items():
        if value is not None and value not in _CHOICES[argument]:
            raise ConversionError(Setting(argument), got=repr(value), expected=" or ".join(_CHOICES[argument]))


def _some_of(argument: str, names: Iterable[str], known: Collection[Name]) -> list[Name]:
    """The names in the order of those that are known. Raises ConversionError for another name, or none."""
    given = set(names)
    if unknown := given - set(known):
        raise ConversionError(
            Setting(argument), got=", ".join(sorted(unknown)) or "''", expected="some of " + ",".join(known)
        )
    return [name for name in known if name in given]


def _reachable(path: Path, wanted: list[Format] | None, reachable: tuple[Format, ...]) -> list[Format]:
    """The formats to write. Raises ConversionError where the model cannot become one of them."""
    if wanted is None:
        return list(reachable)
    if out_of_reach := [format for format in wanted if format not in reachable]:
        raise ConversionError(
            f"formats for {path}",
            got=",".join(out_of_reach),
            expected="some of " + ",".join(reachable) + ": it cannot become another",
        )
    return wanted
