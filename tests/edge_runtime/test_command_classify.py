"""``linnet classify``: a line of JSON for each picture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from linnet_devices import OpenOptions
from linnet_runtime import Classifier
from linnet_runtime.preprocess import read_picture
from program import PATIENCE_S, linnet, one_line_error

FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, PNM, JPEG 2000 or AVIF"


@pytest.mark.parametrize("device", ["cpu:litert", "cpu:onnx", "cpu:openvino"])
def test_each_picture_gets_a_line_with_its_label_and_what_said_so(
    device: str, bundle_folder: Path, photos_folder: Path
) -> None:
    photos = [photos_folder / label / "0000.jpg" for label in ("bolt", "gear")]
    done = linnet("classify", bundle_folder, *photos, "--device", device, "--threads", 1)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["source"] for line in lines] == [str(photo) for photo in photos]
    with Classifier.open(bundle_folder, device, options=OpenOptions(threads=1)) as classifier:
        for line, photo in zip(lines, photos, strict=True):
            expected = classifier.classify(read_picture(photo), color="bgr")
            assert set(line) == {"source", "label", "probability", "top", "device", "artifact"}
            assert (line["label"], line["device"], line["artifact"]) == (expected.label, device, expected.artifact)
            assert line["probability"] == pytest.approx(expected.probability, abs=1e-6)
            assert [entry["label"] for entry in line["top"]] == [label for label, _ in expected.top]
            assert line["top"][0] == {"label": line["label"], "probability": line["probability"]}
    assert done.stderr == ""


def test_the_float_artifact_is_used_where_it_is_asked_for(bundle_folder: Path, photos_folder: Path) -> None:
    done = linnet("classify", bundle_folder, photos_folder / "nut" / "0001.jpg", "--precision", "float")
    assert json.loads(done.stdout)["artifact"] == "model.fp32.tflite"


def test_a_bad_file_gets_a_line_with_its_error_and_the_good_ones_theirs(small_bundle: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    assert cv2.imwrite(str(good), np.full((20, 20, 3), 9, np.uint8))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:-4])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "floats.png").write_bytes(b"Pf\n2 2\n-1.0\n" + bytes(16))  # a PFM, which OpenCV decodes to [2, 2]
    os.mkfifo(tmp_path / "pipe.jpg")  # it would hang
    names = ["good.png", "cut.png", "text.jpg", "good.png", "empty.jpg", "nowhere.jpg", ".", "floats.png", "pipe.jpg"]
    names.append("good.png")
    done = linnet("classify", small_bundle, *names, "--device", "fake", status=1, cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["source"] for line in lines] == names
    assert [line.get("error") for line in lines] == [
        None,
        "cut.png: got a PNG that is damaged or cut short, expected a picture",
        f"text.jpg: got 10 bytes that start with b'no picture', expected {FORMATS}",
        None,
        "empty.jpg: got an empty file, expected a picture",
        "nowhere.jpg: got No such file or directory, expected a picture that can be read",
        ".: got Is a directory, expected a picture that can be read",
        f"floats.png: got 28 bytes that start with b'Pf\\n2 2\\n-1.0\\n', expected {FORMATS}",
        "pipe.jpg: got not a regular file, expected a picture that can be read",
        None,
    ]
    assert all(("label" in line) != ("error" in line) for line in lines)
    assert one_line_error(done) == "linnet classify: got 7 of 10 files unreadable, expected pictures"


def test_a_name_that_is_not_utf8_is_read_and_the_json_is_valid(small_bundle: Path, tmp_path: Path) -> None:
    good = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(good)).write_bytes(cv2.imencode(".png", np.full((20, 20, 3), 9, np.uint8))[1].tobytes())
    bad = b"nowhere\xe9.png"
    command = [sys.executable, "-m", "linnet_runtime.cli", "classify", small_bundle, good, bad, "--device", "fake"]
    done = subprocess.run(command, capture_output=True, check=False)
    found, missing = (json.loads(line) for line in done.stdout.decode().splitlines())
    assert found["source"] == f"{tmp_path}/caf\\xe9.png"
    assert found["label"]
    assert missing["source"] == "nowhere\\xe9.png"
    assert missing["error"].startswith("nowhere\\xe9.png: got No such file or directory")
    assert done.returncode == 1


def test_no_folder_for_temporary_files_is_needed(small_bundle: Path, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "p.png"), np.full((20, 20, 3), 9, np.uint8))
    code = "import sys, tempfile\ntempfile._candidate_tempdir_list = lambda: []\n"
    code += "from linnet_runtime.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "classify", small_bundle, tmp_path / "p.png", "--device", "fake"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["label"]


def test_json_may_be_asked_for_although_it_is_json_anyway(small_bundle: Path, photos_folder: Path) -> None:
    photo = photos_folder / "nut" / "0001.jpg"
    plain = linnet("classify", small_bundle, photo, "--device", "fake").stdout
    assert linnet("classify", small_bundle, photo, "--device", "fake", "--json").stdout == plain


def test_ctrl_c_loses_no_line_that_was_written(small_bundle: Path, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "p.png"), np.full((20, 20, 3), 9, np.uint8))
    command = [sys.executable, "-m", "linnet_runtime.cli", "classify", str(small_bundle), "--device", "fake"]
    with subprocess.Popen(
        [*command, *["p.png"] * 20_000],  # more than it has time for
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert 0 < len(lines) < 20_000
    assert all(line["label"] for line in lines)
    assert err.strip() == "error: stopped by ctrl-C"


def test_a_reader_that_leaves_early_is_no_error(small_bundle: Path, photos_folder: Path) -> None:
    photos = sorted(photos_folder.glob("*/*.jpg"))
    command = [sys.executable, "-m", "linnet_runtime.cli", "classify", str(small_bundle), "--device", "fake"]
    with subprocess.Popen([*command, *photos], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["source"] == str(photos[0])
        process.stdout.close()  # as `| head -1` does
        assert process.stderr.read() == ""
    assert process.returncode == 0
