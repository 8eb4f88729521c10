"""Photos for training: which part they go to, what is left out, and the pixels that the network sees."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from linnet_runtime.preprocess import Preprocess, preprocess, read_picture
from linnet_train.data.dataset import Dataset, load_dataset
from linnet_train.errors import TrainingError
from linnet_train.training.batches import PhotoBatches, PhotosInTurn
from networks import CLASSES, PER_CLASS

SPEC = Preprocess(height=32, width=32)
N = PER_CLASS * len(CLASSES)
ORIENTATION = 0x0112  # EXIF's tag


def load(folder: Path, tmp_path: Path, *, seed: int = 0, spec: Preprocess = SPEC) -> Dataset:
    return load_dataset(folder, spec, seed, tmp_path / "pixels.npy", lambda done, total: None)


def divided(photos: Path, folder: Path, **shares: int) -> Path:
    """The photos of a folder in PART/CLASS/*, so many of each class in each part."""
    for label in CLASSES:
        files = sorted((photos / label).iterdir())
        for part, count in shares.items():
            (folder / part / label).mkdir(parents=True)
            for _ in range(count):
                shutil.copy(files.pop(), folder / part / label)
    return folder


def test_parts_are_60_20_20_of_every_class(easy_photos: Path, tmp_path: Path) -> None:
    photos = load(easy_photos, tmp_path)
    assert photos.classes == ("blue", "green", "red")
    for part, count in {"train": 12, "val": 4, "test": 4}.items():
        assert Counter(photos.labels[photos.parts[part]].tolist()) == {0: count, 1: count, 2: count}
    everything = np.concatenate(list(photos.parts.values()))
    assert sorted(everything.tolist()) == list(range(N)), "each photo is in one part"


def test_the_seed_decides_the_parts(easy_photos: Path, tiny_run: Path, tmp_path: Path) -> None:
    def names(seed: int) -> dict[str, list[str]]:
        photos = load(easy_photos, tmp_path, seed=seed)
        return {part: photos.names_of(part) for part in photos.parts}

    splits = json.loads((tiny_run / "splits.json").read_text())
    assert splits.pop("unreadable") == {}
    assert names(0) == splits, "the run's seed"
    assert names(1)["test"] != splits["test"]


def test_parts_of_the_folder_are_respected(easy_photos: Path, tmp_path: Path) -> None:
    folder = divided(easy_photos, tmp_path / "data", train=9, val=3, test=5)
    photos = load(folder, tmp_path)
    for part, count in {"train": 9, "val": 3, "test": 5}.items():
        names = photos.names_of(part)
        assert len(names) == 3 * count
        assert all(name.startswith(f"{part}/") for name in names)


@pytest.mark.parametrize("judge", ["test", "val"])
def test_validation_comes_out_of_training_where_the_folder_has_one_other_part(
    judge: str, easy_photos: Path, tmp_path: Path
) -> None:
    folder = divided(easy_photos, tmp_path / "data", train=10, **{judge: 4})
    photos = load(folder, tmp_path)
    assert sorted(photos.names_of("test")) == sorted(str(p.relative_to(folder)) for p in folder.glob(f"{judge}/*/*"))
    assert Counter(photos.labels[photos.parts["val"]].tolist()) == {0: 2, 1: 2, 2: 2}
    learnt = {*photos.names_of("train"), *photos.names_of("val")}
    assert learnt == {str(path.relative_to(folder)) for path in folder.glob("train/*/*")}


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ({"train": 9}, "got only train"),
        ({"val": 5, "test": 5}, "got only val, test"),
        ({"train": 3, "test": 9}, "train/blue: got 3 photos"),  # validation could not have one of each class
    ],
)
def test_parts_that_cannot_be_trained_are_refused(
    shares: dict[str, int], says: str, easy_photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=says):
        load(divided(easy_photos, tmp_path / "data", **shares), tmp_path)


def test_a_class_without_training_photos_is_refused(easy_photos: Path, tmp_path: Path) -> None:
    folder = divided(easy_photos, tmp_path / "data", train=9, test=5)
    shutil.rmtree(folder / "train" / "green")
    with pytest.raises(TrainingError, match="train: got no green"):
        load(folder, tmp_path)


def write_odd_pictures(folder: Path) -> dict[str, Path]:
    """Pictures of every sort that cameras and scanners leave, of the same scene: a light square on a dark ground."""
    folder.mkdir(parents=True)
    scene = np.full((40, 60, 3), (30, 40, 50), np.uint8)
    scene[4:16, 4:24] = (210, 220, 230)
    files = {name: folder / name for name in ("grey.png", "alpha.png", "sixteen.png", "turned.jpg", "upright.jpg")}
    cv2.imwrite(str(files["grey.png"]), cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY))
    cv2.imwrite(str(files["alpha.png"]), cv2.cvtColor(scene, cv2.COLOR_BGR2BGRA))
    cv2.imwrite(str(files["sixteen.png"]), scene.astype(np.uint16) * 257)
    upright = Image.fromarray(np.ascontiguousarray(scene[..., ::-1]))
    upright.save(files["upright.jpg"], quality=95)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be shown turned a quarter clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(files["turned.jpg"], quality=95, exif=exif)
    return files


def test_every_sort_of_picture_is_read_as_the_device_reads_it(easy_photos: Path, tmp_path: Path) -> None:
    shutil.copytree(easy_photos, tmp_path / "data")
    files = write_odd_pictures(tmp_path / "data" / "odd")
    photos = load(tmp_path / "data", tmp_path)
    assert isinstance(photos.pixels, np.memmap)
    assert not photos.unreadable
    seen = {}
    for i, name in enumerate(photos.names):
        expected = preprocess(read_picture(tmp_path / "data" / name), SPEC, color="bgr")
        np.testing.assert_array_equal(photos.pixels[i], expected)
        seen[Path(name).name] = photos.pixels[i].astype(int)
    for name in files:
        square, ground = seen[name][6:12, 3:10], seen[name][20:, 16:]
        rgb = ((222, 222, 222), (41, 41, 41)) if name == "grey.png" else ((230, 220, 210), (50, 40, 30))
        for area, colour in zip((square, ground), rgb, strict=True):
            np.testing.assert_allclose(area.mean(axis=(0, 1)), colour, atol=3, err_msg=name)


def test_unreadable_photos_are_left_out_and_named(easy_photos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(easy_photos, tmp_path / "data")
    whole = (folder / "red" / "00.jpg").read_bytes()
    (folder / "blue" / "empty.jpg").touch()
    (folder / "green" / "text.jpg").write_text("not a picture")
    (folder / "red" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])  # the last of all
    told = []
    photos = load_dataset(folder, SPEC, 0, tmp_path / "pixels.npy", lambda done, total: told.append((done, total)))
    assert set(photos.unreadable) == {"blue/empty.jpg", "green/text.jpg", "red/truncated.jpg"}
    assert photos.unreadable["blue/empty.jpg"] == "an empty file"
    assert len(photos.names) == N
    assert not set(photos.names) & set(photos.unreadable)
    assert told == [(done, N + 3) for done in range(1, N + 4)], "progress ends at the end, unreadable ones counted"


def test_a_class_that_is_left_with_too_few_is_refused(easy_photos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(easy_photos, tmp_path / "data")
    for photo in sorted((folder / "green").iterdir())[4:]:
        photo.write_bytes(b"")
    with pytest.raises(TrainingError, match="green: got 4 photos that can be read, expected at least 5"):
        load(folder, tmp_path)


def test_more_photos_than_the_disk_has_room_for_are_refused(easy_photos: Path, tmp_path: Path) -> None:
    """Before any is read: a memory map that runs out of disk brings the process down."""
    free = shutil.disk_usage(tmp_path).free
    side = math.isqrt(2 * free // (3 * N))
    with pytest.raises(TrainingError, match=rf"pixels\.npy: got \S+ GB free, expected \S+ GB, for {N} photos"):
        load(easy_photos, tmp_path, spec=Preprocess(height=side, width=side))
    assert not list(tmp_path.iterdir())


def test_a_memory_map_has_its_room_on_the_disk(easy_photos: Path, tmp_path: Path) -> None:
    load(easy_photos, tmp_path, spec=Preprocess(height=33, width=200))
    taken = (tmp_path / "pixels.npy").stat()
    assert taken.st_blocks * 512 >= taken.st_size >= N * 33 * 200 * 3


def test_a_sample_has_every_class_however_small(easy_photos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(easy_photos, tmp_path / "data")
    for photo in sorted((folder / "green").iterdir())[5:]:
        photo.unlink()
    photos = load(folder, tmp_path)
    assert Counter(photos.sample("train", 9, seed=0).labels.tolist()) == {0: 3, 1: 3, 2: 3}
    assert len(photos.sample("train", 10_000, seed=0)) == len(photos.parts["train"])


class TestPhotoBatches:
    @pytest.fixture
    def photos(self, easy_photos: Path, tmp_path: Path) -> Dataset:
        return load(easy_photos, tmp_path)

    @staticmethod
    def order(batches: PhotoBatches) -> list[bytes]:
        return [pixels.tobytes() for i in range(len(batches)) for pixels in batches[i][0]]

    def test_an_epoch_serves_every_training_photo_once(self, photos: Dataset) -> None:
        batches = PhotoBatches(photos, "train", 9, seed=3, first_epoch=0)
        served = self.order(batches)
        assert sorted(served) == sorted(pixels.tobytes() for pixels in photos.pixels[photos.parts["train"]])
        pixels, labels = batches[1]
        assert (pixels.dtype, pixels.shape, labels.shape) == (np.uint8, (9, 32, 32, 3), (9,))
        of_pixels = dict(zip((p.tobytes() for p in photos.pixels), photos.labels, strict=True))
        assert [of_pixels[p.tobytes()] for p in pixels] == labels.tolist()

    def test_the_order_follows_from_seed_and_epoch(self, photos: Dataset) -> None:
        straight = PhotoBatches(photos, "train", 9, seed=3, first_epoch=0)
        first = self.order(straight)
        straight.on_epoch_end()
        second = self.order(straight)
        straight.on_epoch_end()
        assert first != second
        resumed = PhotoBatches(photos, "train", 9, seed=3, first_epoch=2)
        assert self.order(resumed) == self.order(straight)
        assert self.order(PhotoBatches(photos, "train", 9, seed=4, first_epoch=0)) != first

    def test_a_batch_larger_than_the_part_is_the_part(self, photos: Dataset) -> None:
        batches = PhotoBatches(photos, "train", 1000, seed=0, first_epoch=0)
        assert len(batches) == 1
        assert len(batches[0][0]) == 36


def test_a_part_in_turn_is_all_of_it_read_batch_by_batch(easy_photos: Path, tmp_path: Path) -> None:
    """12 photos in batches of 5; the last two are a batch of their own."""
    photos = load(easy_photos, tmp_path)
    part = photos.parts["val"]
    batches = PhotosInTurn(photos, "val", 5)
    served = [batches[i] for i in range(len(batches))]
    assert [len(labels) for _, labels in served] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([pixels for pixels, _ in served]), photos.pixels[part])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in served]), photos.labels[part])
