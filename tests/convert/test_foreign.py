"""Published models by one command: ``linnet convert FILE`` on Coral's MobileNets and MLPerf Tiny's ResNet-8."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linnet_runtime.bundle import Bundle, open_bundle
from linnet_runtime.preprocess import PICTURE_SUFFIXES
from program import DATA, Program, needs_data, one_line_error

MODELS = DATA / "models"
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
INT8 = ["model.int8.tflite", "model.int8.onnx", "int8.xml"]
pytestmark = needs_data


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hundred photos as DATA/LABEL/*, the labels being the models' own."""
    folder = tmp_path_factory.mktemp("imagenet")
    labels = (MODELS / "imagenet_labels.txt").read_text().splitlines()
    by_name = {label.split(",")[0].lower(): label for label in labels}
    for path in (DATA / "imagenet_100").iterdir():
        if path.suffix.lower() in PICTURE_SUFFIXES:
            label = by_name[path.stem.partition("_")[2].replace("_", " ").lower()]
            (folder / label).mkdir()
            (folder / label / path.name).symlink_to(path)
    return folder


def names(bundle: Bundle) -> list[str]:
    return [Path(artifact.path).name for artifact in bundle.artifacts]


@pytest.mark.parametrize(
    ("name", "right", "convolutions"),
    [
        ("mobilenet_v1_0.25_128_quant", 0.45, 28),  # measured 0.49, 0.49 and 0.50
        ("mobilenet_v2_1.0_224_quant", 0.85, 53),  # measured 0.87 on all three
    ],
)
def test_corals_mobilenets_name_real_photos_on_every_engine(
    name: str, right: float, convolutions: int, examples: Path, tmp_path: Path, program: Program
) -> None:
    """Models of 2018: per-tensor uint8, 1001 classes, metadata in the file, so that no flag is needed. OpenVINO
    computes them in float, and the report says why.
    """
    out = tmp_path / "imagenet.linnet"
    said = json.loads(program("convert", MODELS / f"{name}.tflite", "--out", out, "--data", examples, "--json").stdout)
    bundle = open_bundle(out)
    assert names(bundle) == INT8
    assert (bundle.labels[0], len(bundle.labels)) == ("background", 1001)
    for row, artifact in zip(said["artifacts"], bundle.artifacts, strict=True):
        assert row["n"] == 100
        print(f"{name}, {row['path']}: {row['accuracy'] * 100:.0f} of 100 right")
        assert row["accuracy"] >= right, row["path"]
        assert row["agreement"] >= 0.97
        assert artifact.input.mean is None, "the pixel is the quantized value"
    original, copy = MODELS / f"{name}.tflite", Path(bundle.artifacts[0].path)
    assert copy.read_bytes() == original.read_bytes()
    *others, openvino = json.loads((out / "report" / "integer.json").read_bytes())["artifacts"]
    assert [row["kind"] for row in others] == ["fully integer", "integer inside"]
    reasons = {row["kind"]: (row["count"], row["why"]) for row in openvino["in_float"]}
    zero_points = "its weights have a zero point, which OpenVINO's integer kernels do not support"
    assert reasons["Convolution"] == (convolutions, zero_points)
    assert reasons["Softmax"] == (1, "OpenVINO has no Softmax in integers")


@pytest.mark.parametrize(
    ("name", "flags", "artifacts", "dtype"),
    [
        ("mlperf_tiny_pretrainedResnet_quant", (), INT8, "int8"),
        (
            "mlperf_tiny_pretrainedResnet",
            ("--mean", "0", "--std", "1"),
            ["model.fp32.tflite", "model.fp32.onnx", "fp16.xml"],
            "float32",
        ),
    ],
)
def test_mlperf_tinys_resnet_comes_in_with_the_classes_of_cifar_10(
    name: str, flags: tuple[str, ...], artifacts: list[str], dtype: str, tmp_path: Path, program: Program
) -> None:
    labels = tmp_path / "cifar-10.txt"
    labels.write_text("\n".join(CIFAR) + "\n")
    out = tmp_path / "resnet.linnet"
    program("convert", MODELS / f"{name}.tflite", "--out", out, "--labels", labels, "--color", "rgb", *flags)
    bundle = open_bundle(out)
    assert bundle.labels == CIFAR
    assert names(bundle) == artifacts
    for artifact in bundle.artifacts:
        assert artifact.output.values == "probabilities"
        assert artifact.parity is not None
        assert artifact.parity.accuracy is None, "on noise nothing is said of accuracy"
    assert bundle.artifacts[0].input.dtype == dtype


def test_a_model_compiled_for_an_edge_tpu_is_for_coral_alone(tmp_path: Path, program: Program) -> None:
    out = tmp_path / "coral.linnet"
    model = MODELS / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    labels = ("--labels", MODELS / "imagenet_labels.txt", "--color", "rgb")
    program("convert", model, "--out", out, *labels)
    (artifact,) = open_bundle(out).artifacts
    assert artifact.compiled_for == "edgetpu"
    assert Path(artifact.path).name == "model.int8_edgetpu.tflite"
    assert artifact.output.values == "probabilities"
    assert artifact.parity is None
    done = program("convert", model, "--out", tmp_path / "x.linnet", *labels, "--formats", "onnx", status=1)
    assert one_line_error(done) == (f"formats for {model}: got onnx, expected some of tflite: it cannot become another")


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("mlperf_tiny_pretrainedResnet_quant", "--labels FILE --color rgb|bgr"),
        ("mlperf_tiny_pretrainedResnet", "--labels FILE --mean R,G,B --std R,G,B --color rgb|bgr"),
    ],
)
def test_what_a_file_does_not_say_is_one_line_with_all_the_flags(
    name: str, flags: str, tmp_path: Path, program: Program
) -> None:
    done = program("convert", MODELS / f"{name}.tflite", "--out", tmp_path / "x.linnet", status=1)
    assert one_line_error(done).endswith(f" in the file. Fix: {flags}")
    assert not list(tmp_path.iterdir())
