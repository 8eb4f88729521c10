"""The package as Python code uses it: ``from linnet_convert import Conversion, convert, verify``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import linnet_convert
from linnet_convert import Conversion, convert, verify
from linnet_convert.errors import ConversionError
from linnet_devices.errors import LinnetError
from linnet_runtime import Classifier
from linnet_train import calibrate, quantize

LABELS = ("blue", "green", "red")
PIXELS: dict[str, Any] = {"labels": LABELS, "mean": 0, "std": 1, "color": "rgb"}

LIGHT = """
import sys
import linnet_convert
assert {"convert", "verify"} <= set(linnet_convert.__all__)
linnet_convert.convert, linnet_convert.verify
heavy = {"keras", "tensorflow", "onnx", "onnxruntime", "openvino", "ai_edge_litert", "click", "rich"}
print(*sorted(heavy & set(sys.modules)))
"""


def by_color(pixel_range: str = "uint8") -> keras.Model:
    """A classifier without training: its logits are the means of the blue, the green and the red channel."""
    pixels = keras.Input((16, 16, 3), dtype=pixel_range)
    x = layers.Rescaling(1 / 128, -1)(pixels) if pixel_range == "uint8" else pixels
    x = layers.Conv2D(3, 1, name="channels")(x)
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(x), name="by_color")
    model.get_layer("channels").set_weights([4 * np.eye(3)[::-1].reshape(1, 1, 3, 3), np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def photos() -> np.ndarray[Any, Any]:
    """uint8 [48, 16, 16, 3], each of one hue."""
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (48, 1, 1, 3))
    return np.clip(colors + rng.normal(0, 20, (48, 16, 16, 3)), 0, 255).astype(np.uint8)


def test_importing_the_package_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_another_name_is_not_found() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'convert_all'"):
        linnet_convert.convert_all  # noqa: B018  # the lookup is what is tested


def test_a_keras_model_quantized_by_calibration_becomes_a_bundle(photos: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """Its int8 artifacts agree with it, the bundle verifies and has what was stated, and labels come out."""
    int8 = quantize(by_color())
    calibrate(int8, photos)
    steps: list[str] = []
    own = tmp_path / "own.linnet"
    stated = PIXELS | {"crop": "pad", "formats": ["tflite", "onnx"], "clients": ["frigate"]}
    done = convert(int8, own, **stated, on_step=steps.append)
    assert isinstance(done, Conversion)
    assert [(row.client, row.folder) for row in done.exported] == [("frigate", own / "for" / "frigate")]
    assert (own / "for" / "frigate" / "labelmap.txt").read_text().split() == list(LABELS)
    assert done.path == tmp_path / "own.linnet"
    assert [artifact.path for artifact in done.bundle.artifacts] == ["model.int8.tflite", "model.int8.onnx"]
    assert [report.kind for report in done.integers] == ["fully integer", "integer inside"]
    assert (steps[0], steps[-1]) == ("loading", "canaries")

    verdicts = verify(done.path)
    assert [verdict.path for verdict in verdicts] == ["model.int8.tflite", "model.int8.onnx"]
    assert all(verdict.passed for verdict in verdicts)
    with Classifier.open(done.path, device="cpu:litert") as classifier:
        for index, label in enumerate(LABELS):
            picture = np.zeros((16, 64, 3), np.uint8)
            picture[:, :16, index] = 255  # outside of the centred square
            assert classifier.classify(picture, color="bgr").label == label


def test_a_float_model_and_calibration_photos_become_both_precisions(easy_photos: Path, tmp_path: Path) -> None:
    """Paths may be strings, a mean is one number for all channels, and the photos give the accuracy."""
    done = convert(
        by_color("float32"),
        str(tmp_path / "own.linnet"),
        labels=LABELS,
        mean=127.5,
        std=127.5,
        color="rgb",
        calibrate=str(easy_photos),
        data=str(easy_photos),
        formats=["tflite"],
    )
    assert [artifact.path for artifact in done.bundle.artifacts] == ["model.int8.tflite", "model.fp32.tflite"]
    parity = [artifact.parity for artifact in done.bundle.artifacts]
    assert all(figures is not None and figures.n == 60 and figures.accuracy == 1 for figures in parity)
    assert all(verdict.passed for verdict in verify(str(done.path), str(easy_photos), max_drop=20))


def test_a_run_needs_nothing_but_its_path(tiny_run: Path, tmp_path: Path) -> None:
    done = convert(tiny_run, tmp_path / "run.linnet", formats=["tflite"])
    assert done.bundle.labels == ("blue", "green", "red")
    assert all(verdict.passed for verdict in verify(done.path, tiny_run))


def test_an_error_names_the_arguments_that_cure_it(tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as error:
        convert(by_color("float32"), tmp_path / "own.linnet")
    assert str(error.value).endswith("Fix: labels=..., mean=..., std=..., color=...")
    assert "--" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"formats": ["tflite", "coreml"]}, "formats: got coreml, expected some of tflite,onnx,openvino"),
        ({"check": ["tpu"]}, "check: got tpu, expected some of edgetpu,npu"),
        ({"clients": ["coral"]}, "clients: got coral, expected some of mediapipe,frigate,pycoral"),
        ({"clients": ["frigate"], "formats": ["onnx"]}, "clients: got formats onnx, expected tflite among them"),
        ({"labels": LABELS[:2]}, r"labels of .*by_color\.keras: got 2 labels, expected 3"),
        ({"size": 8}, r"by_color\.keras: got size 8, expected none: it is 16x16 pixels"),
        ({"crop": "center"}, r"crop: got 'center', expected centre or stretch or pad"),
        ({"mean": (1, 2)}, r"mean: got \(1, 2\), expected one number, or 3"),
        ({"std": 0}, r"std: got \(0\.0, 0\.0, 0\.0\), expected more than 0"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=line):
        convert(by_color(), tmp_path / "own.linnet", **(PIXELS | arguments))
    assert not list(tmp_path.iterdir())


def test_an_argument_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="colour"):
        convert(by_color(), tmp_path / "own.linnet", **PIXELS, colour="rgb")


def test_an_existing_bundle_is_kept(tmp_path: Path) -> None:
    (tmp_path / "own.linnet").mkdir()
    (tmp_path / "own.linnet" / "bundle.json").touch()
    with pytest.raises(LinnetError, match=r"own\.linnet: got it exists"):
        convert(by_color(), tmp_path / "own.linnet", **PIXELS)
