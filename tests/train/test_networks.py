"""The registry: that each network is what its paper says."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from linnet_train.errors import TrainingError
from linnet_train.models import NETWORKS, build_model, head_layers
from linnet_train.models.figures import count_macs, count_parameters, int8_kilobytes, shapes_only
from program import Program
from train.random_networks import photos, random_statistics, weights_of

NAMES = [name for name in NETWORKS if name != "tiny"]
APPLICATIONS = {
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds_are_those_published(name: str) -> None:
    network, published = NETWORKS[name], NETWORKS[name].published
    with shapes_only():
        model = build_model(name, classes=network.classes, size=published.size, alpha=published.alpha)
        counted = (count_parameters(model), count_macs(model))
    for ours, theirs in zip(counted, (published.parameters, published.macs), strict=True):
        assert ours == (theirs if isinstance(theirs, int) else pytest.approx(theirs, rel=published.within))


@pytest.mark.parametrize(
    ("alpha", "size", "parameters", "macs"),  # tensorflow/models, research/slim/nets/mobilenet/README.md
    [(0.35, 160, 1.66e6, 30e6), (0.5, 128, 1.95e6, 32e6), (1.4, 224, 6.06e6, 582e6)],
)
def test_the_width_multiplier_is_the_papers(alpha: float, size: int, parameters: float, macs: float) -> None:
    with shapes_only():
        model = build_model("mobilenet_v2", classes=1000, size=size, alpha=alpha)
        assert count_parameters(model) == pytest.approx(parameters, rel=0.015)  # the README leaves out normalization
        assert count_macs(model) == pytest.approx(macs, rel=0.03)  # and rounds to millions


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_pixels_to_logits_from_its_smallest_size_on(name: str) -> None:
    size = NETWORKS[name].smallest
    model = build_model(name, classes=3, size=size)
    assert model.input.dtype == "uint8"
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert not any(isinstance(layer, keras.Model) for layer in model.layers), "flat"
    assert all(isinstance(operation, keras.layers.Layer) for operation in model.operations), "nothing but layers"
    logits = np.asarray(model(photos(size), training=False))
    assert (logits.shape, logits.dtype) == ((2, 3), np.float32)
    assert not np.allclose(logits[0], logits[1], rtol=1e-6, atol=0), "the photo matters"


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v4_conv_small", "efficientnet_lite0", "cifar_cnn"])
def test_a_saved_network_loads_as_it_was(name: str, tmp_path: Path) -> None:
    model = build_model(name, classes=3, size=32)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded(photos(32), training=False), model(photos(32), training=False))


def test_size_and_width_are_the_networks_own_unless_given() -> None:
    with shapes_only():
        assert build_model("efficientnet_lite1", classes=2).input_shape == (None, 240, 240, 3)
        model = build_model("mobilenet_v2", classes=2)
        assert model.input_shape == (None, 160, 160, 3)
        assert model.get_layer("Conv1").filters == 16  # alpha 0.35


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("mobilenet_v2", ("logits",)),
        ("mobilenet_v3_small", ("conv_2", "logits")),
        ("mobilenet_v4_conv_small", ("conv_head", "norm_head", "logits")),
        ("efficientnet_lite0", ("logits",)),  # its 1280 features come before the pooling
        ("lenet5", ("c5", "f6", "logits")),
    ],
)
def test_the_head_is_what_comes_behind_the_feature_map(name: str, head: tuple[str, ...]) -> None:
    with shapes_only():
        assert head_layers(build_model(name, classes=2)) == head


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": "MobileNetV4"}, "model: got 'MobileNetV4', expected the name of a network, such as mobilenet_v4_"),
        (
            {"name": "resnet-50"},
            "model: got 'resnet-50', expected the name of a network, such as resnet50. Fix: linnet models ",
        ),
        (
            {"name": "mobilnet_v2"},
            "model: got 'mobilnet_v2', expected the name of a network, such as mobilenet_v2 or ",
        ),
        ({"name": "transformer_xl_2048"}, "model: got 'transformer_xl_2048', expected the name of a network. Fix: "),
        ({"name": "mobilenet_v2", "size": 31}, "size: got 31, expected at least 32 for mobilenet_v2"),
        ({"name": "alexnet", "size": 62}, "size: got 62, expected at least 63 for alexnet"),
        ({"name": "resnet8", "alpha": 0.5}, "alpha: got 0.5, expected none: resnet8 has one width"),
        ({"name": "resnet8", "weights": "imagenet"}, "weights='imagenet': got resnet8, expected a network of keras"),
        ({"name": "resnet8", "weights": "no.keras"}, "weights: got no file 'no.keras', expected imagenet, none, or"),
    ],
)
def test_a_mistake_gets_one_line(settings: dict[str, object], says: str) -> None:
    with pytest.raises(TrainingError) as error:
        build_model(**{"classes": 2, **settings})  # type: ignore[arg-type]
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
@pytest.mark.parametrize("minimalistic", [False, True])
def test_mobilenet_v3_computes_what_keras_applications_does(name: str, minimalistic: bool, tmp_path: Path) -> None:
    size = 75  # its steps of two meet odd and even sizes, which pad differently
    inputs = keras.Input((size, size, 3))
    theirs = APPLICATIONS[name](
        input_tensor=keras.layers.Rescaling(1 / 128, -1.0, name="normalise")(inputs),
        minimalistic=minimalistic,
        weights=None,
        classes=3,
        include_preprocessing=False,
        classifier_activation=None,
    )
    theirs = keras.Model(inputs, theirs.output)
    random_statistics(theirs, photos(size, 16).astype(np.float32))
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    full_name = f"{name}_minimalistic" if minimalistic else name
    ours = build_model(full_name, classes=3, size=size, weights=str(tmp_path / "theirs.weights.h5"))
    kernel, bias = weights_of(theirs, "logits")
    ours.get_layer("logits").set_weights([kernel[0, 0], bias])
    expected = np.asarray(theirs(photos(size).astype(np.float32), training=False))
    assert np.ptp(expected, axis=0).max() > 0.01, "the photo matters"
    np.testing.assert_allclose(ours(photos(size), training=False), expected, atol=1e-4)


def test_the_int8_size_is_about_that_of_the_file(bundle_folder: Path, run_folder: Path) -> None:
    model = keras.saving.load_model(run_folder / "float.keras", compile=False)
    size = (bundle_folder / "model.int8.tflite").stat().st_size
    assert int8_kilobytes(model) * 1000 == pytest.approx(size, rel=0.03)


def test_linnet_models_lists_every_network(program: Program) -> None:
    rows = {row["name"]: row for row in json.loads(program("models", "--json").stdout)["networks"]}
    assert set(rows) == set(NETWORKS)
    row = rows["mobilenet_v2"]
    assert (row["size"], row["alpha"], row["weights"], row["quantises_fully"]) == (160, 0.35, ["imagenet"], True)
    assert (rows["resnet8"]["parameters"], rows["resnet8"]["macs"]) == (78_186, 12_501_632)
    assert rows["resnet8"]["int8_kb"] == pytest.approx(98, rel=0.03), "MLPerf Tiny's own int8 file has 98.5 kB"


def test_linnet_models_prints_a_table(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one network, as counting all takes seconds."""
    for name in [name for name in NETWORKS if name != "efficientnet_lite0"]:
        monkeypatch.delitem(NETWORKS, name)
    lines = program("models").stdout.splitlines()
    assert lines[0].split("  ")[0] == "network"
    fields = next(line for line in lines if line.startswith("efficientnet_lite0")).split()
    assert fields == [
        "efficientnet_lite0",
        "224",
        "4.65",
        "M",
        "385.2",
        "M",
        "5,270",
        "yes",
        "timm",
        "arXiv:1905.11946",
    ]


def test_a_network_of_the_registry_trains(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    options = ("--model", "resnet8", "--weights", "none", "--size", 32, "--epochs", 1, "--qat-epochs", 1)
    program("train", easy_photos, "--out", tmp_path / "run", *options)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["splits"]["test"] > 0
