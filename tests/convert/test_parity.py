"""Every artifact computes what its Keras model computes, and one that does not is not let through."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import msgspec
import numpy as np
import pytest

from linnet_convert.calibration import Calibration
from linnet_convert.conversion import convert_source
from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS
from linnet_convert.progress import silent
from linnet_convert.proof.parity import Original, Originals, Sample, artifact_logits, keras_logits, measure_parity
from linnet_convert.proof.report import refuse_failed
from linnet_convert.sources.api import About
from linnet_convert.sources.run import RunSource
from linnet_convert.targets import Targets
from linnet_runtime.bundle import Artifact, Bundle, open_bundle
from linnet_runtime.photos.listing import Photos
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.proof.canary import load_canary
from linnet_runtime.proof.reference import load_reference
from linnet_runtime.synthetic.photos import CLASSES, render_photo
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize
from networks import random_weights

SIDE, LABELS = 40, ("a", "b", "c", "d", "e")
# The artifact, and how far its logits may be from its model's: in output steps for int8, else in logits.
ALLOWED = {
    "model.int8.tflite": 1.01,
    "model.int8.onnx": 1.01,
    "int8.xml": 3.01,  # OpenVINO rounds sums and averages in its own way
    "model.fp32.tflite": 1e-4,
    "model.fp32.onnx": 1e-4,
    "fp16.xml": 0.05,  # weights of 11 bits
}


@pytest.fixture(scope="module")
def source() -> RunSource:
    """A network with random weights, whose logits differ from photo to photo, and its quantized twin."""
    spec = Preprocess(height=SIDE, width=SIDE)
    pictures = (render_photo(CLASSES[i % len(CLASSES)], np.random.default_rng(i), (64, 64)) for i in range(96))
    pixels = np.stack([preprocess(picture, spec, color="bgr") for picture in pictures])
    keras.utils.set_random_seed(1)
    model = build_model("tiny", classes=len(LABELS), size=SIDE, alpha=1.0, weights="none", dropout=0.2)
    random_weights(model, pixels, 5)
    quantized = quantize(model)
    calibrate(quantized, pixels[:64])
    labels = np.random.default_rng(1).integers(0, len(LABELS), 96)
    calibration = Calibration(pixels[:64], labels[:64], "rendered", 0)
    about = About(
        name="random",
        labels=LABELS,
        preprocess=spec,
        formats=FORMATS,
        validation=Photos(pixels, labels),
        calibration=calibration,
        metrics={"float_top1": 0.2, "int8_top1": 0.2},
    )
    return RunSource(about, calibration, float_model=model, int8_model=quantized)


@pytest.fixture(scope="module")
def photos(source: RunSource) -> Photos:
    """What its artifacts are compared on."""
    assert source.about.validation is not None
    return source.about.validation


@pytest.fixture(scope="module")
def bundle(source: RunSource, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "random.linnet"
    convert_source(source, out, Targets(), canary_photos=True, overwrite=False, on_step=silent)
    return open_bundle(out)


def model_of(source: RunSource, artifact: Artifact) -> keras.Model:
    return source.int8_model if artifact.is_int8 else source.float_model


def named(bundle: Bundle, name: str) -> Artifact:
    return next(artifact for artifact in bundle.artifacts if Path(artifact.path).name == name)


def test_the_logits_say_something(source: RunSource, photos: Photos) -> None:
    """Or every comparison here would be one of constants."""
    logits = keras_logits(source.int8_model, photos.pixels)
    assert len(np.unique(logits.argmax(axis=1))) >= 3
    assert logits.std(axis=0).min() > 0.5


@pytest.mark.parametrize("name", ALLOWED)
def test_logits_are_those_of_the_model_that_the_artifact_came_from(
    name: str, source: RunSource, photos: Photos, bundle: Bundle
) -> None:
    artifact = named(bundle, name)
    pixels = photos.pixels
    expected = keras_logits(model_of(source, artifact), pixels)
    found = artifact_logits(artifact, Path("/"), pixels)
    assert np.abs(found - expected).max() <= ALLOWED[name] * (artifact.output.scale or 1)
    parity = artifact.parity
    assert parity is not None
    assert parity.reference == ("keras int8" if artifact.is_int8 else "keras float")
    assert parity.n == 96
    assert parity.agreement == pytest.approx((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    assert parity.max_abs_logit_diff == pytest.approx(np.abs(found - expected).max(), rel=1e-6)
    assert parity.accuracy == pytest.approx((found.argmax(axis=1) == photos.labels).mean())
    assert parity.reference_accuracy == pytest.approx((expected.argmax(axis=1) == photos.labels).mean())


def test_the_two_models_differ(source: RunSource, photos: Photos) -> None:
    """Or a float artifact held against the int8 model would pass."""
    pixels = photos.pixels
    difference = keras_logits(source.int8_model, pixels) - keras_logits(source.float_model, pixels)
    assert np.abs(difference).max() > 0.1


def test_the_reference_is_keras_s_own_logits_and_no_picture(source: RunSource, photos: Photos, bundle: Bundle) -> None:
    reference = load_reference(bundle)
    assert reference is not None
    pixels = photos.pixels
    assert reference.find(pixels).tolist() == list(range(96))
    np.testing.assert_array_equal(reference.logits["int8"], keras_logits(source.int8_model, pixels))
    np.testing.assert_array_equal(reference.logits["float"], keras_logits(source.float_model, pixels))
    assert bundle.reference is not None
    with np.load(bundle.reference.path) as arrays:
        assert set(arrays.files) == {"digests", "int8", "float"}


def test_canaries_know_what_each_artifact_says_of_eight_photos(photos: Photos, bundle: Bundle) -> None:
    canary = load_canary(bundle)
    assert canary is not None
    np.testing.assert_array_equal(canary.pixels, photos.pixels[:8])
    assert set(canary.logits) == set(ALLOWED)
    steps = {artifact.is_int8: artifact.output.scale for artifact in bundle.artifacts if artifact.is_int8}
    for name, logits in canary.logits.items():
        artifact = named(bundle, name)
        np.testing.assert_array_equal(logits, artifact_logits(artifact, Path("/"), canary.pixels))
        assert canary.tolerance[name] >= 8 * steps[True]


def relative(bundle: Bundle, *names: str) -> list[Artifact]:
    root = bundle_root(bundle)
    return [
        msgspec.structs.replace(artifact, path=str(Path(artifact.path).relative_to(root)), parity=None)
        for artifact in bundle.artifacts
        if Path(artifact.path).name in names
    ]


def bundle_root(bundle: Bundle) -> Path:
    return Path(named(bundle, "model.int8.tflite").path).parent


def test_an_artifact_of_another_model_is_named_with_its_figures(
    source: RunSource, photos: Photos, bundle: Bundle
) -> None:
    """The int8 artifacts are held against a model with another head; the float one passes beside them."""
    pixels = photos.pixels
    originals = source.originals(pixels)
    assert originals.int8 is not None
    another = Original("keras int8", np.roll(originals.int8.logits, 1, axis=1))
    artifacts = relative(bundle, "model.int8.tflite", "model.fp32.tflite", "int8.xml")
    steps: list[str] = []
    _, report = measure_parity(
        artifacts,
        bundle_root(bundle),
        Sample(pixels, photos.labels, LABELS),
        dataclasses.replace(originals, int8=another),
        on_step=steps.append,
        name="random",
    )
    assert not report.passed
    with pytest.raises(ConversionError) as error:
        refuse_failed(report, ())
    line = str(error.value)
    assert line.startswith("parity: got model.int8.tflite agrees on 0.0")
    figures = r"agrees on 0\.0\d+ of 96 photos \(interval 0\.0\d+\.\.0\.\d+, logits off by up to \d+\.?\d*\)"
    assert re.search(rf"got model\.int8\.tflite {figures}; .*openvino/int8\.xml {figures}; .*, expected", line)
    assert "fp32" not in line
    assert "interval of the top-1 agreement reaches 0.97 in int8, 0.99 in float16, 0.99 in float32" in line
    assert steps == [f"compared {artifact.path}" for artifact in artifacts], "all are measured before one is refused"


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (2, True), (20, False)])
def test_the_gate_is_the_interval_of_the_agreement(wrong: int, passes: bool, photos: Photos, bundle: Bundle) -> None:
    (artifact,) = relative(bundle, "model.fp32.tflite")
    pixels = photos.pixels
    expected = artifact_logits(artifact, bundle_root(bundle), pixels)
    expected[:wrong] = -expected[:wrong]
    originals = Originals(float32=Original("keras float", expected))

    sample = Sample(pixels, photos.labels, LABELS)
    (measured,), report = measure_parity(
        [artifact], bundle_root(bundle), sample, originals, on_step=silent, name="random"
    )
    assert measured.parity is not None
    assert measured.parity.agreement == pytest.approx(1 - wrong / 96)
    (row,) = report.artifacts
    assert any("agrees on 0.7917 of 96" in words for words in row.failed) is not passes


@pytest.mark.parametrize(("max_drop", "passes"), [(None, True), (50.0, False)])
def test_what_quantizing_a_model_here_costs_is_part_of_the_drop(
    max_drop: float | None, passes: bool, photos: Photos, bundle: Bundle
) -> None:
    """An int8 artifact that is its quantized model's equal, of a float model that was right on every photo."""
    (artifact,) = relative(bundle, "model.int8.tflite")
    pixels = photos.pixels
    own = artifact_logits(artifact, bundle_root(bundle), pixels)
    right = np.roll(own, 1, axis=1)
    originals = Originals.of_quantized_here(Original("keras int8", own), Original("model.onnx", right))
    _, report = measure_parity(
        [artifact],
        bundle_root(bundle),
        Sample(pixels, right.argmax(axis=1), LABELS),
        originals,
        on_step=silent,
        name="random",
        max_drop=max_drop,
    )
    (row,) = report.artifacts
    assert report.passed is passes
    if not passes:
        (words,) = row.failed
        assert re.fullmatch(
            r"changes accuracy by -100\.00 points \(interval .*\) on 96 photos against model\.onnx", words
        )


@pytest.mark.parametrize("constant", ["int8", "float32"])
def test_a_model_that_gives_the_same_for_all_photos_proves_nothing(
    constant: str, source: RunSource, photos: Photos, bundle: Bundle
) -> None:
    """One such model is enough: its artifacts would agree with it on every photo."""
    originals = source.originals(photos.pixels)
    model = getattr(originals, constant)
    same = Original(model.name, np.repeat(model.logits[:1], len(model.logits), axis=0))
    expected = (
        f"outputs of {model.name}: got the same for all of 96 photos, expected outputs that depend on the picture"
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(expected)}$"):
        measure_parity(
            relative(bundle, "model.int8.tflite", "model.fp32.tflite"),
            bundle_root(bundle),
            Sample(photos.pixels, photos.labels, LABELS),
            dataclasses.replace(originals, **{constant: same}),
            on_step=silent,
            name="random",
        )


def test_a_failure_leaves_no_bundle(source: RunSource, tmp_path: Path) -> None:
    stopped = SimpleNamespace(steps=[])

    def on_step(step: str) -> None:
        stopped.steps.append(step)
        if step == "canaries":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_source(
            source,
            tmp_path / "x.linnet",
            Targets(("tflite",)),
            canary_photos=True,
            overwrite=False,
            on_step=on_step,
        )
    assert stopped.steps[0] == "TensorFlow Lite, int8"
    assert not list(tmp_path.iterdir())
