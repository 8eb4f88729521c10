"""The networks: what goes in, what comes out, and whose weights they start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from program import DATA, needs_data

IMAGENET = DATA / "weights" / "mobilenet_v2_0.35_224_imagenet_no_top.weights.h5"


def build(**changes: Any) -> keras.Model:
    settings: dict[str, Any] = {"classes": 4, "size": 32, "alpha": 0.35, "weights": "none", "dropout": 0.2}
    return build_model("mobilenet_v2", **settings | changes)


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone with alpha 0.35, as keras.applications makes it."""
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    keras.utils.set_random_seed(7)
    backbone = keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(64, 64, 3))
    backbone.save_weights(path)
    return path


@pytest.mark.parametrize(
    ("alpha", "stem", "last"),
    [(0.35, 16, 1280), (0.5, 16, 1280), (1.4, 48, 1792)],  # only above 1 does the last one grow, as in the paper
)
def test_alpha_is_the_width(alpha: float, stem: int, last: int) -> None:
    model = build(alpha=alpha, size=64)
    assert model.get_layer("Conv1").filters == stem
    assert model.get_layer("Conv_1").filters == last


def test_pixels_go_in_and_logits_come_out() -> None:
    model = build(classes=3, size=48)
    assert (model.input_shape, model.input.dtype) == ((None, 48, 48, 3), "uint8")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    logits = model.predict(pixels, verbose=0)
    assert (logits.shape, logits.dtype) == ((2, 3), np.float32)
    assert model.layers[-1].activation is keras.activations.linear, "logits, not probabilities"


def test_pixels_are_normalised_exactly_in_eight_bits() -> None:
    model = build()
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    pixels = np.tile(pixels, (1, 2, 2, 1))
    normalized = np.asarray(keras.Model(model.input, model.get_layer("normalise").output)(pixels))
    np.testing.assert_array_equal(normalized, (pixels.astype(np.float32) - 128) / 128)


def test_batch_statistics_forget_fast_enough_for_little_data() -> None:
    momenta = {layer.momentum for layer in build().layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {0.9}


def test_weights_come_from_a_file_of_the_backbone(backbone_file: Path) -> None:
    expected = keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(32, 32, 3))
    expected.load_weights(backbone_file)
    model = build(weights=str(backbone_file))
    for layer in expected.layers[3:]:  # behind its input and the stem
        for mine, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_the_stem_sees_its_weights_own_normalisation_of_the_pixels(backbone_file: Path) -> None:
    """Theirs is p / 127.5 - 1; at the edge a zero of the padding is another grey than ours."""
    expected = keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(32, 32, 3))
    expected.load_weights(backbone_file)
    model = build(weights=str(backbone_file))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    mine = keras.Model(model.input, model.get_layer("Conv1_relu").output)(pixels)
    theirs = keras.Model(expected.input, expected.get_layer("Conv1_relu").output)(pixels / np.float32(127.5) - 1)
    inner = np.s_[:, :-1, :-1]
    np.testing.assert_allclose(np.asarray(mine)[inner], np.asarray(theirs)[inner], atol=1e-5)


def test_weights_of_another_width_are_refused(backbone_file: Path) -> None:
    with pytest.raises(TrainingError, match=r"layers that do not fit: .*, expected the backbone of .* alpha 0\.5$"):
        build(alpha=0.5, weights=str(backbone_file))


@pytest.mark.parametrize("content", ["text", "another network"])
def test_a_file_that_is_no_backbone_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "some.weights.h5"
    if content == "text":
        path.write_text("not weights")
    else:
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(TrainingError, match=r"expected the backbone of mobilenet_v2 with alpha 0\.35$") as error:
        build(weights=str(path))
    assert str(error.value).startswith(f"{path}: got ")


@needs_data
def test_imagenet_weights_tell_photos_apart() -> None:
    """Their features put two photos of one object nearer to each other than to a third: noise would not."""
    from linnet_runtime.preprocess import Preprocess, preprocess, read_picture

    spec = Preprocess(height=96, width=96)
    folders = [sorted((DATA / "photos" / "trash" / name).iterdir())[:20] for name in ("glass", "cardboard")]
    pixels = [preprocess(read_picture(path), spec, color="bgr") for folder in folders for path in folder]
    model = build(size=96, weights=str(IMAGENET))
    features = keras.Model(model.input, model.get_layer("pool").output).predict(np.stack(pixels), verbose=0)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    alike = features @ features.T - 2 * np.eye(40)
    nearest = alike.argmax(axis=1)
    assert ((nearest < 20) == (np.arange(40) < 20)).mean() >= 0.9
