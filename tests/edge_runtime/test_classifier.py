"""The classifier: pictures in, labels out, and what said so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.small_bundle import LABELS, SIDE, edit_manifest
from linnet_devices import OpenOptions
from linnet_devices.errors import DeviceError, DeviceUnavailable, LinnetError
from linnet_runtime.bundle import BundleError, open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.preprocess import BORDER, read_picture
from linnet_runtime.proof.canary import load_canary
from program import linnet, one_line_error

CPU_ENGINES = {"cpu:litert": "model.int8.tflite", "cpu:onnx": "model.int8.onnx", "cpu:openvino": "int8.xml"}


@pytest.fixture
def float_bundle(small_bundle: Path) -> Path:
    """A bundle whose models are all in float."""

    def in_float(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            artifact["precision"] = "float32"

    edit_manifest(small_bundle, in_float)
    return small_bundle


def striped(brightest: int) -> np.ndarray:
    """A picture of three grey strips; the simulated device's label is the brightest one's."""
    picture = np.full((SIDE, SIDE, 3), 10, np.uint8)
    picture[:, brightest * SIDE // 3 : (brightest + 1) * SIDE // 3] = 12
    return picture


def test_a_picture_gives_its_label_and_what_said_so(small_bundle: Path) -> None:
    with Classifier.open(small_bundle, "fake") as classifier:
        for i, label in enumerate(LABELS):
            found = classifier.classify(striped(i), color="rgb")
            assert found.label == label
            assert found.logits.argmax() == i
            assert found.probability == pytest.approx(np.exp(2) / (np.exp(2) + 2))
            assert found.top[0] == (label, found.probability)
            assert not found.independent
            assert sum(probability for _, probability in found.top) == pytest.approx(1)
            assert (found.device, found.artifact) == ("fake", "model.int8.tflite")
            assert set(found.stages_ms) == {"preprocess", "inference", "decision"}


def test_the_bundles_temperature_flattens_the_probabilities_and_keeps_the_label(small_bundle: Path) -> None:
    edit_manifest(small_bundle, lambda manifest: manifest.update(temperature=4.0))
    with Classifier.open(small_bundle, "fake") as classifier:
        found = classifier.classify(striped(1), color="rgb")
    assert found.label == LABELS[1]
    assert found.probability == pytest.approx(np.exp(0.5) / (np.exp(0.5) + 2))


def test_independent_labels_have_the_models_own_probabilities(small_bundle: Path) -> None:
    """The simulated device's outputs are the means 0.25, 0.75 and 0: the model says so, and the classifier too."""

    def outputs_are_sigmoids(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            artifact["input"] |= {"dtype": "float32", "mean": [0, 0, 0], "std": [200, 200, 200]}
            artifact["output"]["values"] = "independent_probabilities"

    edit_manifest(small_bundle, outputs_are_sigmoids)
    picture = np.repeat(np.array([50, 150, 0], np.uint8), SIDE // 3)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
    with Classifier.open(small_bundle, "fake") as classifier:
        found = classifier.classify(picture, color="rgb")
    assert found.independent
    assert (found.label, found.probability) == (LABELS[1], pytest.approx(0.75))
    assert [p for _, p in found.top] == pytest.approx([0.75, 0.25, 0], abs=1e-6)


def test_the_bundles_own_preprocessing_is_used(small_bundle: Path) -> None:
    frame = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    frame[:, :SIDE] = 200  # outside the centred square
    with Classifier.open(small_bundle, "fake") as classifier:
        assert classifier.classify(frame, color="bgr").logits.max() == 0
    edit_manifest(small_bundle, lambda manifest: manifest["preprocess"].update(crop="stretch"))
    with Classifier.open(small_bundle, "fake") as classifier:
        assert classifier.classify(frame, color="bgr").label == LABELS[0]
    edit_manifest(small_bundle, lambda manifest: manifest["preprocess"].update(crop="pad"))
    with Classifier.open(small_bundle, "fake") as classifier:
        padded = classifier.classify(frame[:, : 2 * SIDE], color="bgr")
        rows = np.full((SIDE, SIDE, 3), BORDER, np.uint8)
        rows[SIDE // 4 : 3 * SIDE // 4] = frame[: SIDE // 2, SIDE // 2 : 3 * SIDE // 2]
        assert np.array_equal(padded.logits, classifier.logits(rows[None])[0])


def test_the_colour_order_has_no_default(small_bundle: Path) -> None:
    with Classifier.open(small_bundle, "fake") as classifier, pytest.raises(TypeError, match="color"):
        classifier.classify(striped(0))  # type: ignore[call-arg]


def test_a_float_picture_is_refused(small_bundle: Path) -> None:
    with Classifier.open(small_bundle, "fake") as classifier, pytest.raises(LinnetError, match="got float64"):
        classifier.classify(striped(0) / 255.0, color="rgb")  # type: ignore[arg-type]


def test_closing_twice_does_nothing_and_a_closed_classifier_refuses(small_bundle: Path) -> None:
    classifier = Classifier.open(small_bundle, "fake")
    classifier.close()
    classifier.close()
    with pytest.raises(DeviceError, match="after close"):
        classifier.classify(striped(0), color="rgb")


def test_a_classifier_that_was_never_closed_warns(small_bundle: Path) -> None:
    classifier = Classifier.open(small_bundle, "fake")
    with pytest.warns(ResourceWarning, match="unclosed Classifier"):
        del classifier


def test_auto_without_a_device_gives_the_reasons_of_the_cpu_engines_only(small_bundle: Path) -> None:
    """Most machines lack most accelerators, and a page about them would come before the reason."""
    with pytest.raises(DeviceUnavailable) as refused:
        Classifier.open(small_bundle)
    assert str(refused.value).startswith("device='auto': got ")
    assert "cpu:onnx reads onnx and the bundle has none in int8" in str(refused.value)
    assert "libedgetpu" not in str(refused.value)


def test_an_unknown_device_is_an_error_that_names_the_nearest(small_bundle: Path) -> None:
    with pytest.raises(DeviceError, match=r"got 'cpu:litrt', expected one of .*cpu:onnx.*\. Fix: device='cpu:litert'"):
        Classifier.open(small_bundle, "cpu:litrt")


def test_a_bundle_without_the_devices_format_says_which_formats_it_reads(small_bundle: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="cpu:onnx reads onnx and the bundle has none in int8"):
        Classifier.open(small_bundle, "cpu:onnx")


def test_a_precision_that_the_bundle_lacks_is_one_short_line(small_bundle: Path) -> None:
    with pytest.raises(BundleError) as refused:
        Classifier.open(small_bundle, "auto", precision="float")
    assert str(refused.value) == "small: got only int8 models, expected one in float. Fix: precision='int8'"


def test_a_bundle_without_int8_runs_its_float_model_and_a_warning_says_so(
    float_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Classifier.open(float_bundle, "fake") as classifier:
        assert classifier.session.model.precision == "float32"
        for _ in range(2):
            classifier.classify(striped(0), color="bgr")
    assert caplog.messages == ["small has no int8 model: its float model runs"]


def test_a_precision_that_was_asked_for_needs_no_warning(float_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Classifier.open(float_bundle, "fake", precision="float") as classifier:
        classifier.classify(striped(0), color="bgr")
    assert caplog.messages == []
    with pytest.raises(BundleError, match="small: got only float models, expected one in int8"):
        Classifier.open(float_bundle, "fake", precision="int8")


@pytest.mark.parametrize("command", [("classify", "p.png"), ("run", "--source", "p.png"), ("bench", "--quick")])
def test_every_command_runs_a_float_bundle_and_says_so_in_one_line(
    command: tuple[str, ...], float_bundle: Path, tmp_path: Path
) -> None:
    assert cv2.imwrite(str(tmp_path / "p.png"), striped(0))
    done = linnet(command[0], float_bundle, *command[1:], "--device", "fake", cwd=tmp_path)
    assert done.stderr.splitlines() == ["WARNING: small has no int8 model: its float model runs"]
    assert done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("classify", "p.png", "--device", "coral"),
        ("run", "--source", "p.png", "--device", "coral"),
        ("run", "--source", "nowhere", "--device", "fake"),
        ("bench", "--device", "coral"),
    ],
)
def test_where_a_float_bundle_does_not_run_the_reason_is_the_only_line(
    command: tuple[str, ...], float_bundle: Path, tmp_path: Path
) -> None:
    """The warning came before it."""
    assert cv2.imwrite(str(tmp_path / "p.png"), striped(0))
    status = 2 if "nowhere" in command else 1
    assert one_line_error(linnet(command[0], float_bundle, *command[1:], cwd=tmp_path, status=status))


def test_a_file_that_is_no_model_is_an_error_that_names_it(small_bundle: Path) -> None:
    with pytest.raises(DeviceError, match=r"model\.int8\.tflite"):
        Classifier.open(small_bundle, "cpu:litert")


@pytest.mark.parametrize(("device", "artifact"), CPU_ENGINES.items())
def test_each_cpu_engine_gives_the_same_label(
    device: str, artifact: str, bundle_folder: Path, photos_folder: Path
) -> None:
    photo = read_picture(photos_folder / "bolt" / "0000.jpg")
    canary = load_canary(open_bundle(bundle_folder))
    assert canary is not None
    with Classifier.open(bundle_folder, "cpu:litert") as classifier:
        expected = classifier.classify(photo, color="bgr")
    with Classifier.open(bundle_folder, device, options=OpenOptions(threads=1)) as classifier:
        found = classifier.classify(photo, color="bgr")
    assert (found.device, found.artifact) == (device, artifact)
    tolerance = canary.tolerance[artifact]  # engines round each in their own way
    assert found.logits == pytest.approx(expected.logits, abs=tolerance)


@pytest.mark.parametrize("device", CPU_ENGINES)
def test_float_is_another_artifact(device: str, bundle_folder: Path) -> None:
    with Classifier.open(bundle_folder, device, precision="float") as classifier:
        assert classifier.session.model.precision in ("float32", "float16")
        assert classifier.session.model.input.dtype == "uint8"


def test_auto_takes_the_first_engine_that_is_here(bundle_folder: Path) -> None:
    with Classifier.open(bundle_folder) as classifier:
        assert classifier.session.device == "cpu:litert"


def test_preprocessed_pixels_give_their_logits(small_bundle: Path) -> None:
    with Classifier.open(small_bundle, "fake") as classifier:
        logits = classifier.logits(np.stack([striped(2), striped(0)]))
    assert logits.shape == (2, 3)
    assert logits.argmax(axis=1).tolist() == [2, 0]


_FORGETFUL = """
import sys
from pathlib import Path

from linnet_devices import OpenOptions
from linnet_runtime import Classifier, Limits, Pipeline, open_source
from linnet_runtime.bundle import open_bundle
from linnet_runtime.failover.ladder import open_ladder

bundle = Path(sys.argv[1])
open_ladder(open_bundle(bundle), "fake,fake", precision="int8", options=OpenOptions(), limits=Limits())
classifier = Classifier.open(bundle, "fake")
pipeline = Pipeline(lambda: open_source("synthetic:"), classifier)
"""


def test_what_a_program_forgets_to_close_is_named_at_its_end(small_bundle: Path) -> None:
    """Threads keep a pipeline and a ladder alive until then, and are ended."""
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", _FORGETFUL, str(small_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("Classifier", "Pipeline", "SupervisedSession"):
        assert f"ResourceWarning: unclosed {name}" in done.stderr
