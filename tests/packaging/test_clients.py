"""Other people's programs read a bundle's files as they are. Opt-in, for their size: ``pytest -m clients``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest

from edge_runtime.small_bundle import edit_manifest
from environments import Environment, make_environment
from linnet_runtime.run_files import load_run_photos
from once import made_once
from program import ROOT, linnet

pytestmark = pytest.mark.clients

MEDIAPIPE = """
import sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
with vision.ImageClassifier.create_from_options(options) as classifier:
    result = classifier.classify(mediapipe.Image.create_from_file(sys.argv[2]))
best = result.classifications[0].categories[0]
print(best.category_name, best.score, sep="\\t")
"""
MODEL_API = """
import sys
import cv2
from model_api.models import ClassificationModel
print(ClassificationModel.create_model(sys.argv[1])(cv2.imread(sys.argv[2])).top_labels[0].name)
"""


@pytest.fixture(scope="module")
def picture(bundle_folder: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A photo of the model's own size, so that nobody resizes, and its label."""
    path = tmp_path_factory.mktemp("picture") / "photo.png"
    cv2.imwrite(str(path), load_run_photos(run_folder)["val"].pixels[0][..., ::-1])
    return path, json.loads(linnet("classify", bundle_folder, path, "--device", "cpu:litert").stdout)["label"]


def _environment(requirement: str, name: str, factory: pytest.TempPathFactory) -> Environment:
    def make(folder: Path) -> None:
        make_environment(folder, requirement, ROOT / "constraints.txt")

    return Environment(made_once(factory, name, make))


@pytest.mark.parametrize("name", ["model.int8.tflite", "model.fp32.tflite"])
def test_mediapipe_reads_the_tflite_and_its_labels(
    name: str, bundle_folder: Path, picture: tuple[Path, str], registry: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = _environment("mediapipe", "mediapipe", tmp_path_factory)
    photo, label = picture
    assert environment.run("python", "-c", MEDIAPIPE, bundle_folder / name, photo).stdout.partition("\t")[0] == label


def test_mediapipes_score_is_linnets_probability(
    bundle_folder: Path,
    picture: tuple[Path, str],
    registry: None,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """At a temperature that leaves the probability well between 0 and 1, as no logit's is."""
    environment = _environment("mediapipe", "mediapipe", tmp_path_factory)
    bundle = shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
    edit_manifest(bundle, lambda manifest: manifest.update(temperature=5.0))
    linnet("export", bundle, "--for", "mediapipe")
    expected = json.loads(linnet("classify", bundle, picture[0], "--device", "cpu:litert").stdout)
    done = environment.run("python", "-c", MEDIAPIPE, bundle / "for" / "mediapipe" / "model.tflite", picture[0])
    label, score = done.stdout.split("\t")
    assert 0.2 < expected["probability"] < 0.95
    assert label == expected["label"]
    assert float(score) == pytest.approx(expected["probability"], abs=0.01)


@pytest.mark.parametrize("name", ["model.int8.onnx", "model.fp32.onnx", "openvino/int8.xml", "openvino/fp16.xml"])
def test_model_api_reads_onnx_and_ir_and_their_labels(
    name: str, bundle_folder: Path, picture: tuple[Path, str], registry: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = _environment("openvino-model-api[onnx]", "model_api", tmp_path_factory)
    photo, label = picture
    assert environment.run("python", "-c", MODEL_API, bundle_folder / name, photo).stdout.strip() == label.replace(
        " ", "_"
    )
