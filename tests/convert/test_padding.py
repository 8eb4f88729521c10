"""``--crop pad`` from photos to labels: trained, converted, verified and classified on whole photos."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from linnet_runtime.bundle import open_bundle
from networks import SCHEDULE, TINY, Program


def test_padded_photos_become_a_verified_bundle_that_labels_whole_photos(
    easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "colours.linnet"
    program("train", easy_photos, "--out", run, *TINY, *SCHEDULE, "--crop", "pad")
    program("convert", run, "--out", bundle, "--formats", "tflite,onnx")
    assert open_bundle(bundle).preprocess.crop == "pad"
    report = json.loads(program("verify", bundle, "--data", easy_photos, "--json").stdout)
    assert report["passed"] is True
    assert {row["path"].rpartition(".")[2] for row in report["artifacts"]} == {"tflite", "onnx"}
    photos = [next(folder.iterdir()) for folder in sorted(easy_photos.iterdir())]
    for photo in photos:
        wide = cv2.resize(cv2.imread(str(photo)), (120, 40))  # a centre crop would see a third of it
        cv2.imwrite(str(tmp_path / f"{photo.parent.name}.png"), wide)
    lines = program("classify", bundle, *sorted(tmp_path.glob("*.png")), "--device", "cpu:onnx").stdout.splitlines()
    assert [json.loads(line)["label"] for line in lines] == [photo.parent.name for photo in photos]
