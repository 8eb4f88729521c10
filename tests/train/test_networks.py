"""The registry: that each network is what its paper says, and whose weights it takes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from linnet_train.errors import TrainingError
from linnet_train.models import NETWORKS, build_model, head_layers
from linnet_train.models.figures import count_macs, count_parameters, int8_kilobytes, shapes_only
from linnet_train.models.normalization import CAFFE, IMAGENET, Normalization
from program import Program

NAMES = [name for name in NETWORKS if name != "tiny"]
APPLICATIONS = {
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
}
OURS = Normalization((128 / 255,) * 3, (128 / 255,) * 3)


def photos(size: int, count: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def random_statistics(model: keras.Model, inputs: NDArray[np.generic]) -> None:
    """Batch normalization that is not the identity, with these inputs' statistics: they come through to the end."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(rng.uniform(0.7, 1.4, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    model(inputs, training=True)


def weights_of(model: keras.Model, layer: str) -> list[NDArray[np.float32]]:
    return list(model.get_layer(layer).get_weights())


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
        ({"name": "MobileNetV4"}, "--model: got 'MobileNetV4', expected the name of a network, such as mobilenet_v4_"),
        (
            {"name": "resnet-50"},
            "--model: got 'resnet-50', expected the name of a network, such as resnet50. Fix: linnet models ",
        ),
        (
            {"name": "mobilnet_v2"},
            "--model: got 'mobilnet_v2', expected the name of a network, such as mobilenet_v2 or ",
        ),
        ({"name": "transformer_xl_2048"}, "--model: got 'transformer_xl_2048', expected the name of a network. Fix: "),
        ({"name": "mobilenet_v2", "size": 31}, "--size: got 31, expected at least 32 for mobilenet_v2"),
        ({"name": "alexnet", "size": 62}, "--size: got 62, expected at least 63 for alexnet"),
        ({"name": "resnet8", "alpha": 0.5}, "--alpha: got 0.5, expected none: resnet8 has one width"),
        ({"name": "resnet8", "weights": "imagenet"}, "--weights imagenet: got resnet8, expected a network of keras"),
        ({"name": "resnet8", "weights": "no.keras"}, "--weights: got no file 'no.keras', expected imagenet, none, or"),
    ],
)
def test_a_mistake_gets_one_line(settings: dict[str, object], says: str) -> None:
    with pytest.raises(TrainingError) as error:
        build_model(**{"classes": 2, **settings})  # type: ignore[arg-type]
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_a_network_that_keras_lacks_names_timms_checkpoint() -> None:
    with pytest.raises(TrainingError, match=r"Fix: --weights FILE\.safetensors of timm's tf_efficientnet_lite0$"):
        build_model("efficientnet_lite0", classes=2, size=32, weights="imagenet")


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


def test_weights_of_a_backbone_alone_leave_the_head_new(tmp_path: Path) -> None:
    theirs = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), minimalistic=True, weights=None, include_top=False
    )
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours = build_model(
        "mobilenet_v3_small_minimalistic", classes=3, size=32, weights=str(tmp_path / "theirs.weights.h5")
    )
    np.testing.assert_array_equal(weights_of(ours, "conv_1")[0], weights_of(theirs, "conv_1")[0])
    assert weights_of(ours, "conv_2")[0].std() > 0


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_come_from_what_linnet_saved(suffix: str, tmp_path: Path) -> None:
    """A network of another size and other classes: all but the classifier, and the head too where it fits."""
    before, path = build_model("cifar_cnn", classes=5, size=32), tmp_path / f"before{suffix}"
    before.save(path) if suffix == ".keras" else before.save_weights(path)
    same_size = build_model("cifar_cnn", classes=3, size=32, weights=str(path))
    larger = build_model("cifar_cnn", classes=3, size=64, weights=str(path))
    for layer in ("conv1", "conv2", "conv3"):
        for model in (same_size, larger):
            np.testing.assert_array_equal(weights_of(model, layer)[0], weights_of(before, layer)[0])
    np.testing.assert_array_equal(weights_of(same_size, "ip1")[0], weights_of(before, "ip1")[0])
    assert weights_of(larger, "ip1")[0].shape == (4096, 64)


def test_a_file_that_lacks_layers_is_refused_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "half.weights.h5"
    whole = build_model("cifar_cnn", classes=3, size=32)
    keras.Model(whole.input, whole.get_layer("conv2").output).save_weights(path)
    with pytest.raises(TrainingError) as error:
        build_model("cifar_cnn", classes=3, size=32, weights=str(path))
    says = "got 1 of 3 layers that do not fit: conv3 missing, expected the backbone of cifar_cnn"
    assert str(error.value) == f"{path}: {says}"


def test_a_file_of_other_shapes_is_refused_with_both_and_how_many(tmp_path: Path) -> None:
    path = tmp_path / "wide.weights.h5"
    build_model("mobilenet_v1", classes=3, size=32, alpha=0.5).save_weights(path)
    with pytest.raises(
        TrainingError, match=r"got 54 of 54 layers that do not fit: conv1 3x3x3x16 \(not 3x3x3x8\), conv"
    ):
        build_model("mobilenet_v1", classes=3, size=32, alpha=0.25, weights=str(path))


def test_a_file_of_keras_2_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv1"]
    with pytest.raises(TrainingError, match=r"got a file of Keras 2, expected one of Keras 3\. Fix: load it"):
        build_model("cifar_cnn", classes=3, weights=str(path))


def as_timms(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """A model's weights as timm's checkpoint has them, but for dots in names."""
    tensors = {}
    for layer in model.layers:
        arrays = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            kinds = ("weight", "bias", "running_mean", "running_var")
        else:
            kinds = ("weight", "bias")
            if arrays and arrays[0].ndim == 4:
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                arrays[0] = arrays[0].transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)).copy()
        tensors |= {f"{layer.name}.{kind}": array for kind, array in zip(kinds, arrays, strict=False)}
    return tensors


@pytest.fixture(scope="module")
def small_v4() -> keras.Model:
    model = build_model("mobilenet_v4_conv_small", classes=3, size=32)
    random_statistics(model, photos(32, 16))
    return model


@pytest.fixture(scope="module")
def checkpoint(small_v4: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as timm has them, beside a config.json; not to be written to."""
    folder = tmp_path_factory.mktemp("timm")
    save_file(as_timms(small_v4), folder / "model.safetensors")
    write_config(folder, "mobilenetv4_conv_small", OURS)
    return folder / "model.safetensors"


def write_config(folder: Path, architecture: str, pixels: Normalization) -> None:
    config = {"architecture": architecture, "pretrained_cfg": {"mean": pixels.mean, "std": pixels.std}}
    (folder / "config.json").write_text(json.dumps(config))


def copied(checkpoint: Path, folder: Path) -> Path:
    (folder / "model.safetensors").symlink_to(checkpoint)
    return folder / "model.safetensors"


def from_checkpoint(path: Path) -> keras.Model:
    return build_model("mobilenet_v4_conv_small", classes=2, size=32, weights=str(path))


def test_timms_checkpoint_gives_every_layer_but_the_classifier(small_v4: keras.Model, checkpoint: Path) -> None:
    """Its head too; that the outputs are timm's own is in test_timm.py."""
    model = from_checkpoint(checkpoint)
    for layer in small_v4.layers[:-1]:
        for mine, theirs in zip(weights_of(model, layer.name), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_timms_pixels_are_those_of_the_config_beside_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    path = copied(checkpoint, tmp_path)
    write_config(tmp_path, "mobilenetv4_conv_small", IMAGENET)
    plain, folded = (weights_of(from_checkpoint(p), "conv_stem")[0] for p in (checkpoint, path))
    np.testing.assert_allclose(folded[:, :, 0], plain[:, :, 0] * 128 / 255 / 0.229, rtol=1e-6)


def test_a_checkpoint_alone_is_taken_to_be_the_first_and_says_so(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, guessed = (
        weights_of(from_checkpoint(p), "conv_stem")[0] for p in (checkpoint, copied(checkpoint, tmp_path))
    )
    np.testing.assert_allclose(guessed[:, :, 2], plain[:, :, 2] * 128 / 255 / 0.225, rtol=1e-6)
    assert "no config.json beside it; using mean (0.485, 0.456, 0.406)" in caplog.text


def test_a_checkpoint_whose_config_is_of_another_network_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    path = copied(checkpoint, tmp_path)
    write_config(tmp_path, "mobilenetv4_conv_medium", OURS)
    with pytest.raises(
        TrainingError, match="got architecture mobilenetv4_conv_medium, expected mobilenetv4_conv_small"
    ):
        from_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet18", "got 40 of 40 layers that do not fit: conv1 missing, bn1 32 32 32 32 (not 64 64 64 64), "),
        ("resnet50", "got a checkpoint of timm's, expected a .weights.h5 or .keras file for resnet50"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(name: str, says: str, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as error:
        build_model(name, classes=2, size=32, weights=str(copied(checkpoint, tmp_path)))
    assert says in str(error.value)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(TrainingError, match="expected a checkpoint of timm's mobilenetv4_conv_small") as error:
        from_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pixels", [CAFFE, IMAGENET], ids=["caffe", "imagenet"])
def test_the_first_convolution_takes_in_another_normalization(pixels: Normalization, bias: bool) -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=bias, bias_initializer="normal")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    values = photos(8).astype(np.float32)
    theirs = (values / 255 - np.array(pixels.mean)) / np.array(pixels.std)
    theirs = theirs[..., ::-1] if pixels.bgr else theirs
    random_statistics(model, theirs)
    expected = np.asarray(model(theirs, training=False))
    pixels.fold_into(model)
    folded = np.asarray(model((values - 128) / 128, training=False))
    np.testing.assert_allclose(folded, expected, atol=1e-5)


def test_resnet50_of_keras_applications_gets_our_pixels_and_linnets_own_stays(tmp_path: Path) -> None:
    theirs, path = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3)), tmp_path
    theirs.save_weights(path / "theirs.weights.h5")
    kernel, _ = weights_of(theirs, "conv1_conv")
    ours = build_model("resnet50", classes=2, size=32, weights=str(path / "theirs.weights.h5"))
    np.testing.assert_allclose(weights_of(ours, "conv1_conv")[0], kernel[:, :, ::-1] * 128, rtol=1e-5)
    ours.save_weights(path / "ours.weights.h5")
    again = build_model("resnet50", classes=2, size=32, weights=str(path / "ours.weights.h5"))
    for mine, saved in zip(weights_of(again, "conv1_conv"), weights_of(ours, "conv1_conv"), strict=True):
        np.testing.assert_array_equal(mine, saved)


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
