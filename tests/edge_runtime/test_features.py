"""The head of a network, computed from its last feature map, and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.small_bundle import LABELS, edit_manifest, manifest_of
from linnet_devices.api import LinnetError
from linnet_runtime.bundle import Bundle, BundleError, Features, open_bundle
from linnet_runtime.bundle_files import describe_file, files_of, write_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.features.head import HEAD, Head, Steps, load_head, save_head

CHANNELS, PLACES = 5, (2, 3)
RNG = np.random.default_rng(4)
MAPS = RNG.uniform(0, 6, (7, *PLACES, CHANNELS)).astype(np.float32)
FLOAT = Head(RNG.normal(size=(CHANNELS, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32))
INT8 = replace(FLOAT, pooled=Steps(0.02, 0), logits=Steps(0.05, 100))


class TestHead:
    def test_the_logits_are_the_dense_layer_of_the_mean(self) -> None:
        expected = MAPS.reshape(7, -1, CHANNELS).mean(axis=1) @ FLOAT.weights + FLOAT.bias
        np.testing.assert_allclose(FLOAT.logits_of(FLOAT.feature_vectors(MAPS)), expected, atol=1e-5)

    def test_the_mean_of_an_activation_map_and_the_bias_is_the_logit(self) -> None:
        found = FLOAT.activation_maps(MAPS)
        assert found.shape == (7, 3, *PLACES)
        logits = FLOAT.logits_of(FLOAT.feature_vectors(MAPS))
        np.testing.assert_allclose(found.mean(axis=(2, 3)) + FLOAT.bias, logits, atol=1e-5)

    def test_a_place_that_holds_a_class_shows_in_its_map(self) -> None:
        maps = np.zeros((1, *PLACES, CHANNELS), np.float32)
        maps[0, 1, 2] = 10 * np.maximum(FLOAT.weights[:, 1], 0)
        found = FLOAT.activation_maps(maps)[0, 1]
        assert found.argmax() == np.ravel_multi_index((1, 2), PLACES)

    def test_the_int8_model_rounds_to_its_steps(self) -> None:
        logits = INT8.logits_of(INT8.feature_vectors(MAPS))
        steps = logits / 0.05 + 100
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
        assert steps.min() >= 0
        assert steps.max() <= 255
        inside = (steps > 0) & (steps < 255)
        assert np.abs(logits - FLOAT.logits_of(FLOAT.feature_vectors(MAPS)))[inside].max() < 0.1

    def test_values_beyond_the_steps_are_clipped(self) -> None:
        np.testing.assert_allclose(Steps(0.5, 10).rounded(np.float32([-100, 0.3, 1000])), [-5, 0.5, 122.5])


def with_features(directory: Path, head: Head = INT8) -> Bundle:
    manifest = manifest_of(directory)
    (directory / "model.features.int8.tflite").write_bytes(b"no network, features")
    save_head(directory / HEAD, head)
    file = describe_file(directory / "model.features.int8.tflite", directory)
    output = msgspec.structs.replace(manifest.artifacts[0].output, shape=(1, *PLACES, CHANNELS), values="features")
    artifact = msgspec.structs.replace(
        manifest.artifacts[0],
        path=file.path,
        bytes=file.bytes,
        sha256=file.sha256,
        output=msgspec.structs.replace(output, layout="NHWC"),
    )
    features = Features(artifacts=(artifact,), head=describe_file(directory / HEAD, directory))
    return msgspec.structs.replace(manifest, features=features)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "features.linnet"
    write_bundle(path, with_features, overwrite=False)
    return path


class TestBundle:
    def test_its_head_is_what_was_written(self, bundle: Path) -> None:
        opened = open_bundle(bundle)
        assert opened.schema == 2
        head = load_head(opened)
        assert head is not None
        np.testing.assert_array_equal(head.weights, INT8.weights)
        np.testing.assert_array_equal(head.bias, INT8.bias)
        assert (head.pooled, head.logits) == (INT8.pooled, INT8.logits)

    def test_its_files_are_among_those_that_verify_checks(self, bundle: Path) -> None:
        names = {Path(file.path).name for file in files_of(open_bundle(bundle))}
        assert {HEAD, "model.features.int8.tflite"} <= names

    def test_a_bundle_without_features_has_no_head(self, small_bundle: Path) -> None:
        opened = open_bundle(small_bundle)
        assert opened.schema == 1
        assert load_head(opened) is None

    def test_a_head_for_other_labels_is_refused(self, tmp_path: Path) -> None:
        other = Head(np.zeros((CHANNELS, 4), np.float32), np.zeros(4, np.float32))
        write_bundle(tmp_path / "x.linnet", lambda directory: with_features(directory, other), overwrite=False)
        with pytest.raises(BundleError, match=r"head\.npz: got .*4"):
            load_head(open_bundle(tmp_path / "x.linnet"))

    @pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
    def test_a_step_without_a_meaning_is_refused(self, scale: float, tmp_path: Path) -> None:
        head = replace(INT8, logits=Steps(scale, 3))
        write_bundle(tmp_path / "x.linnet", lambda directory: with_features(directory, head), overwrite=False)
        with pytest.raises(BundleError, match=r"head\.npz"):
            load_head(open_bundle(tmp_path / "x.linnet"))

    def test_schema_1_has_no_features(self, bundle: Path) -> None:
        edit_manifest(bundle, lambda manifest: manifest.update(schema=1))
        with pytest.raises(BundleError, match=r"\$\.schema: got 1, expected 2"):
            open_bundle(bundle)

    @pytest.mark.parametrize("shape", [[1, 3], [1, 2, 3, 6], [2, 2, 3, 5], [1, 0, 3, 5], [1, 1 << 20, 1 << 20, 5]])
    def test_a_feature_map_of_another_shape_is_refused(self, shape: list[int], bundle: Path) -> None:
        def edit(manifest: dict[str, object]) -> None:
            manifest["features"]["artifacts"].append(  # type: ignore[index]
                {**manifest["features"]["artifacts"][0], "path": "other.tflite"}  # type: ignore[index]
            )
            output = {**manifest["features"]["artifacts"][1]["output"], "shape": shape}  # type: ignore[index]
            manifest["features"]["artifacts"][1]["output"] = output  # type: ignore[index]

        edit_manifest(bundle, edit)
        with pytest.raises(BundleError, match=r"\$\.features\.artifacts\[1\]\.output\.shape"):
            open_bundle(bundle)

    def test_a_feature_map_among_the_artifacts_that_label_is_refused(self, bundle: Path) -> None:
        def edit(manifest: dict[str, object]) -> None:
            manifest["artifacts"] += manifest["features"]["artifacts"]  # type: ignore[index, operator]

        edit_manifest(bundle, edit)
        with pytest.raises(BundleError, match=r"\$\.artifacts\[2\]\.output\.values"):
            open_bundle(bundle)


class TestClassifier:
    def test_a_result_explains_itself_where_it_is_asked_to(self, bundle: Path) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        with Classifier.open(bundle, "fake", explain=True) as classifier:
            found = classifier.classify(picture, color="rgb")
            logits = classifier.logits(classifier.prepare(picture, color="rgb").pixels)
        assert found.feature_vector is not None
        assert found.saliency_map is not None
        assert found.feature_vector.shape == (CHANNELS,)
        assert found.saliency_map.shape == (len(LABELS), *PLACES)
        np.testing.assert_array_equal(found.logits, logits[0])
        np.testing.assert_allclose(found.logits, INT8.logits_of(found.feature_vector[None])[0])
        assert found.label == LABELS[int(found.logits.argmax())]

    def test_without_it_a_result_has_neither(self, bundle: Path) -> None:
        with Classifier.open(bundle, "fake") as classifier:
            found = classifier.classify(np.zeros((9, 9), np.uint8), color="gray")
        assert (found.feature_vector, found.saliency_map) == (None, None)
        assert found.artifact == "model.int8.tflite"

    def test_a_bundle_without_features_says_what_to_do(self, small_bundle: Path) -> None:
        with pytest.raises(LinnetError, match=r"no feature artifacts.*convert --features"):
            Classifier.open(small_bundle, "fake", explain=True)
