"""What ``linnet train`` says of a mistake: one line, and nothing is left behind or lost."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from networks import TINY
from program import Program, one_line_error

ONE_EPOCH = ("--epochs", 1, "--qat-epochs", 0)


def no_images(folder: Path) -> None:
    for photo in folder.glob("*/*"):
        photo.rename(photo.with_suffix(".txt"))


def one_class(folder: Path) -> None:
    shutil.rmtree(folder / "green")
    shutil.rmtree(folder / "red")


def a_class_with_one_photo(folder: Path) -> None:
    for photo in sorted((folder / "green").iterdir())[1:]:
        photo.unlink()


def all_unreadable(folder: Path) -> None:
    for photo in folder.glob("*/*"):
        photo.write_bytes(b"")


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


def photos_beside_no_folders(folder: Path) -> None:
    for photo in (folder / "red").iterdir():
        photo.rename(folder / photo.name)
    for label in ("blue", "green", "red"):
        shutil.rmtree(folder / label)


BAD_FOLDERS = {
    no_images: "data: got no photos in folders of classes",
    photos_beside_no_folders: "data: got no photos in folders of classes",
    one_class: "data: got one class, blue, expected at least two",
    a_class_with_one_photo: "green: got 1 photo that can be read, expected at least 5",
    all_unreadable: "data: got none of 60 photos can be read",
    nothing: "data: got no such folder",
    a_file: "data: got a file, expected a folder",
}


@pytest.mark.parametrize(("spoil", "says"), BAD_FOLDERS.items(), ids=[spoil.__name__ for spoil in BAD_FOLDERS])
def test_a_bad_folder_gets_one_line_and_no_run(
    spoil: Callable[[Path], None], says: str, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    data = shutil.copytree(easy_photos, tmp_path / "data")
    spoil(data)
    error = one_line_error(program("train", data, "--out", tmp_path / "run", *TINY, status=1))
    assert says in error
    assert {path.name for path in tmp_path.iterdir()} <= {"data"}, "the next try finds the place as this one did"


def test_an_empty_folder_is_an_error_before_weights_are_downloaded(tmp_path: Path, program: Program) -> None:
    (tmp_path / "data").mkdir()
    error = one_line_error(program("train", tmp_path / "data", "--out", tmp_path / "run", status=1))
    assert "data: got no photos in folders of classes" in error


def test_unreadable_photos_are_counted_and_named_and_the_rest_is_trained_on(
    easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    data, run = shutil.copytree(easy_photos, tmp_path / "data"), tmp_path / "run"
    whole = (data / "red" / "00.jpg").read_bytes()
    (data / "blue" / "zero [bytes].jpg").touch()
    (data / "green" / "text.jpg").write_text("not a picture")
    (data / "red" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    done = program("train", data, "--out", run, *TINY, *ONE_EPOCH)
    figures, page = done.stdout.splitlines()
    assert re.fullmatch(rf"{run}: top-1 on 12 test photos: float [01]\.\d{{4}}, int8 [01]\.\d{{4}}", figures)
    assert page.endswith(f" {run / 'report.html'}")
    assert "3 photos left out, unreadable: blue/zero [bytes].jpg, green/text.jpg, red/truncated.jpg" in done.stderr
    assert json.loads((run / "metrics.json").read_text())["unreadable"] == 3
    splits = json.loads((run / "splits.json").read_text())
    assert set(splits["unreadable"]) == {"blue/zero [bytes].jpg", "green/text.jpg", "red/truncated.jpg"}
    assert sum(len(splits[part]) for part in ("train", "val", "test")) == 60


BAD_OPTIONS = {
    ("--model", "tyni"): "--model: got 'tyni', expected the name of a network",
    ("--model", "alexnet", "--size", "48"): "--size: got 48, expected at least 63 for alexnet",
    ("--model", "mobilenet_v2", "--weights", "no.weights.h5"): "--weights: got no file 'no.weights.h5', expected imag",
    ("--model", "mobilenet_v2", "--weights", "imagenet", "--alpha", "0.4"): "mobilenet_v2 alpha 0.4 weights imagenet",
}


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS.items(), ids=["model", "size", "weights", "alpha"])
def test_a_bad_network_gets_one_line_and_no_run(
    options: tuple[str, ...], says: str, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    arguments = ("train", easy_photos, "--out", tmp_path / "run", *TINY, *options)
    assert one_line_error(program(*arguments, status=1)).startswith(says)
    assert not list(tmp_path.iterdir())


def test_photos_that_are_not_there_are_told_before_weights_are_downloaded(tmp_path: Path, program: Program) -> None:
    done = program("train", tmp_path / "photoz", "--out", tmp_path / "run", "--weights", "no.keras", status=1)
    error = one_line_error(done)
    assert error.startswith(f"{tmp_path / 'photoz'}: got no such folder, expected a folder with a folder of photos for")
    assert error.endswith("Fix: check the path")


def test_a_loss_that_is_not_finite_gets_one_line_and_no_run(
    easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    arguments = ("train", easy_photos, "--out", tmp_path / "run", *TINY, *ONE_EPOCH, "--learning-rate", 1e30)
    last = program(*arguments, status=1).stderr.strip().splitlines()[-1]
    said = r"error: whole, epoch 1 of 1: got loss nan, validation loss \S+, expected finite losses, as a smaller "
    assert re.fullmatch(said + r"learning rate gives\. Fix: --learning-rate 1e\+29", last)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_finite_later_leaves_the_last_good_checkpoint(
    easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    run = tmp_path / "run"
    schedule = ("--epochs", 2, "--qat-epochs", 2, "--qat-learning-rate", 1e30)
    last = program("train", easy_photos, "--out", run, *TINY, *schedule, status=1).stderr.strip().splitlines()[-1]
    assert last.startswith("error: int8, ranges moving, epoch 1 of 1: got loss ")
    assert f"; {run}/checkpoint-0-2.npz has the weights before it, expected finite losses" in last
    assert last.endswith("Fix: --qat-learning-rate 1e+29")
    with np.load(run / "checkpoint-0-2.npz") as weights:
        arrays = [weights[name] for name in weights.files]
    assert len(arrays) > 10
    assert all(np.isfinite(array).all() for array in arrays)
    assert json.loads((run / "progress.json").read_text())["weights"] == "checkpoint-0-2.npz"


def test_a_batch_larger_than_the_data_gets_one_line_and_no_run(
    easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    """A smaller batch than asked for would be another training, at a rate that was meant for this one."""
    error = one_line_error(
        program("train", easy_photos, "--out", tmp_path / "run", *TINY, "--batch-size", 37, status=1)
    )
    assert error == "--batch-size: got 37, expected at most 36, the photos of the training part"
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_there_is_kept(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "run").mkdir()
    error = one_line_error(program("train", easy_photos, "--out", tmp_path / "run", *TINY, status=1))
    assert "run: got it exists" in error
    assert "--overwrite" in error
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_is_replaced_only_once_there_is_something_to_replace_it(
    easy_photos: Path, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    program("train", tmp_path / "nowhere", "--out", run, "--overwrite", *TINY, status=1)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    program("train", easy_photos, "--out", run, "--overwrite", *TINY, *ONE_EPOCH, "--seed", 5)
    assert json.loads((run / "config.json").read_text())["recipe"]["seed"] == 5
    assert len(json.loads((run / "history.json").read_text())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_overwrite_takes_nothing_but_a_run(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    photos = shutil.copytree(easy_photos, tmp_path / "photos")
    error = one_line_error(program("train", photos, "--out", photos, "--overwrite", *TINY, status=1))
    assert "photos: got a directory without config.json" in error
    assert len(list(photos.glob("*/*.jpg"))) == 60


def test_a_place_that_cannot_be_written_gets_one_line(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "file").touch()
    error = one_line_error(program("train", easy_photos, "--out", tmp_path / "file" / "run", *TINY, status=1))
    assert "Not a directory" in error


@pytest.mark.parametrize(
    ("arguments", "got", "fix"),
    [
        ((), "no DATA", "linnet train DATA --out RUN"),
        (("--out", "run"), "no DATA", "linnet train DATA --out run"),
        (("data",), "no --out", "linnet train data --out RUN"),
        (("--resume", "run", "--epochs", "9"), "--resume with other arguments", "linnet train --resume run"),
        (("data", "--resume", "run"), "--resume with other arguments", "linnet train --resume run"),
    ],
)
def test_a_wrong_set_of_arguments_is_a_usage_error_with_the_right_line(
    arguments: tuple[str, ...], got: str, fix: str, program: Program
) -> None:
    error = one_line_error(program("train", *arguments, status=2))
    assert error == f"linnet train: got {got}, expected DATA with --out RUN, or --resume RUN alone. Fix: {fix}"


def test_a_link_to_itself_is_one_line(tmp_path: Path, program: Program) -> None:
    (tmp_path / "photos").symlink_to("photos")
    error = one_line_error(program("train", tmp_path / "photos", "--out", tmp_path / "run", *TINY, status=1))
    assert "photos: got no such folder, expected a folder with a folder of photos" in error


def test_a_name_that_is_too_long_is_one_line(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    """A name has at most 255 bytes."""
    path = tmp_path / ("a" * 300)
    for data, out in ((path, tmp_path / "run"), (path.with_suffix(".csv"), tmp_path / "run"), (easy_photos, path)):
        error = one_line_error(program("train", data, "--out", out, *TINY, status=1))
        assert "File name too long" in error
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["photos.csv", "recipe.toml"])
def test_a_fifo_that_nobody_writes_to_is_refused_at_once(
    name: str, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    os.mkfifo(tmp_path / name)
    data = (tmp_path / name,) if name == "photos.csv" else (easy_photos, "--recipe", tmp_path / name)
    error = one_line_error(program("train", *data, "--out", tmp_path / "run", *TINY, status=1))
    assert error.startswith(f"{tmp_path / name}: got not a regular file, expected a ")
