"""Whose weights a network takes: Keras's, Linnet's and timm's files, and those that do not fit."""

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
from linnet_train.models import build_model
from linnet_train.models.normalization import CAFFE, IMAGENET, Normalization
from train.random_networks import photos, random_statistics, weights_of

OURS = Normalization((128 / 255,) * 3, (128 / 255,) * 3)


def test_a_network_that_keras_lacks_names_timms_checkpoint() -> None:
    with pytest.raises(TrainingError, match="or a file of timm's tf_efficientnet_lite0"):
        build_model("efficientnet_lite0", classes=2, size=32, weights="imagenet")


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
