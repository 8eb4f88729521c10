"""Photos for training: decoded once into a memory map of uint8 pixels, divided by a seed, served in batches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from linnet_devices.api import Pixels
from linnet_runtime.photos import (
    PARTS,
    PhotoFile,
    Photos,
    class_names,
    decode_photos,
    list_photos,
)
from linnet_runtime.preprocess import PictureError, Preprocess
from linnet_train.errors import TrainingError

_BATCHES_AHEAD = 3
_FOLDS = 5  # one to test, one to validate, three to train: 60/20/20
Indices = NDArray[np.intp]
Batch = tuple[Pixels, NDArray[np.int64]]


@dataclass(frozen=True)
class Dataset:
    """All readable photos: ``pixels`` uint8 [N, H, W, 3] (a memory map), ``labels`` int64 [N] indices into
    ``classes``, ``names`` relative to the folder, ``parts`` the indices of train, val and test, ``unreadable`` the
    photos that were left out, by name, with the reason.
    """

    classes: tuple[str, ...]
    pixels: Pixels
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    parts: dict[str, Indices]
    unreadable: dict[str, str]

    def names_of(self, part: str) -> list[str]:
        return [self.names[i] for i in self.parts[part]]

    def sample(self, part: str, most: int, seed: int) -> Photos:
        """Up to ``most`` photos of a part, the classes in turn so that small ones are among them."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(self.parts[part])
        labels = self.labels[order]
        # The k-th photo of each class comes before any (k+1)-th.
        turn = np.empty(len(order), dtype=np.intp)
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            turn[of_class] = np.arange(len(of_class))
        chosen = order[np.argsort(turn, kind="stable")[:most]]
        return Photos(self.pixels[chosen], self.labels[chosen])

    def all_of(self, part: str) -> Photos:
        return Photos(self.pixels[self.parts[part]], self.labels[self.parts[part]])


def load_dataset(
    folder: Path, spec: Preprocess, seed: int, cache: Path, on_photo: Callable[[int, int], None]
) -> Dataset:
    """Reads a folder of photos.

    Args:
        folder: DATA/CLASS/*, or DATA/{train,val,test}/CLASS/*.
        spec: the model's preprocessing, the very one that the device will run.
        seed: of the division into parts, where the folder has none.
        cache: the file for the memory map; it holds no more than this run needs and may be deleted after it.
        on_photo: hears (photos done, photos in all).

    Raises:
        TrainingError: one class only, a class with fewer than five photos (in train/, where the folder has that), or
            no photo that can be read.
    """
    files = list_photos(folder)
    _check_classes(folder, files)
    read: list[PhotoFile] = []
    unreadable: dict[str, str] = {}

    def leave_out(photo: PhotoFile, error: PictureError) -> None:
        unreadable[photo.path.relative_to(folder).as_posix()] = str(error.got)
        on_photo(len(read) + len(unreadable), len(files))

    shape = (len(files), spec.height, spec.width, 3)
    pixels = np.lib.format.open_memmap(cache, mode="w+", dtype=np.uint8, shape=shape)
    for photo, photo_pixels in decode_photos(files, spec, leave_out):
        pixels[len(read)] = photo_pixels
        read.append(photo)
        on_photo(len(read) + len(unreadable), len(files))
    pixels.flush()
    if not read:
        raise TrainingError(str(folder), got=f"none of {len(files)} photos can be read", expected="photos")
    _check_classes(folder, read)
    classes = class_names(read)
    index = {name: i for i, name in enumerate(classes)}
    labels = np.array([index[photo.label] for photo in read])
    return Dataset(
        classes=classes,
        pixels=pixels,
        labels=labels,
        names=tuple(photo.path.relative_to(folder).as_posix() for photo in read),
        parts=_divide(folder, read, labels, seed),
        unreadable=unreadable,
    )


def _check_classes(folder: Path, files: list[PhotoFile]) -> None:
    classes = class_names(files)
    if len(classes) < 2:
        raise TrainingError(
            str(folder),
            got=f"one class, {classes[0]}",
            expected="at least two",
            fix="a folder of photos for each class",
        )
    for name in classes:
        count = sum(file.label == name for file in files)
        if count < _FOLDS:
            raise TrainingError(
                str(folder / name),
                got=f"{count} photo{'s' * (count != 1)} that can be read",
                expected=f"at least {_FOLDS}",
                fix="add photos of the class, or remove its folder",
            )


def _divide(folder: Path, files: list[PhotoFile], labels: NDArray[np.int64], seed: int) -> dict[str, Indices]:
    """The indices of each part: the folder's own parts, or 60/20/20 with every class in the same proportion."""
    own = {part: np.flatnonzero([file.part == part for file in files]) for part in PARTS}
    own = {part: indices for part, indices in own.items() if len(indices)}
    if not own:
        test, val, *train = _folds(labels, np.arange(len(labels)), seed)
        return {"train": np.sort(np.concatenate(train)), "val": val, "test": test}
    if "train" not in own or len(own) == 1:
        raise TrainingError(str(folder), got="only " + ", ".join(own), expected="train and test, or train and val")
    learnt = [files[i] for i in own["train"]]
    if missing := set(class_names(files)) - set(class_names(learnt)):
        raise TrainingError(str(folder / "train"), got="no " + ", ".join(sorted(missing)), expected="every class")
    _check_classes(folder / "train", learnt)
    if len(own) == 2:  # the part that is there judges the model, and validation comes out of training
        judged = own.get("test", own.get("val", own["train"]))
        val, *train = _folds(labels, own["train"], seed)
        own = {"train": np.sort(np.concatenate(train)), "val": val, "test": judged}
    return own


def _folds(labels: NDArray[np.int64], indices: Indices, seed: int) -> list[Indices]:
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(indices, labels[indices])
    return [indices[fold] for _, fold in folds]


class PhotoBatches(keras.utils.PyDataset):
    """Batches of (pixels uint8 [B, H, W, 3], labels int64 [B]) in a new order each epoch.

    The order follows from the seed and the epoch alone, so that a resumed run sees the photos that it would have seen.
    A thread gathers the next batches from the disk while the network computes: the copying lets go of Python's lock.
    """

    def __init__(self, photos: Dataset, part: str, batch_size: int, seed: int, first_epoch: int) -> None:
        super().__init__(workers=1)
        self._photos = photos
        self._indices = photos.parts[part]
        self._batch_size = min(batch_size, len(self._indices))
        self._seed = seed
        self._epoch = first_epoch
        self._gatherer = ThreadPoolExecutor(1, thread_name_prefix="photos")
        self._shuffle()

    def __len__(self) -> int:
        return len(self._indices) // self._batch_size  # a last, smaller batch would be another graph

    def __getitem__(self, i: int) -> Batch:
        for ahead in range(i, min(i + 1 + _BATCHES_AHEAD, len(self))):
            if ahead not in self._gathered:
                self._gathered[ahead] = self._gatherer.submit(self._gather, ahead)
        return self._gathered.pop(i).result()

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._shuffle()

    def _gather(self, i: int) -> Batch:
        chosen = self._order[i * self._batch_size : (i + 1) * self._batch_size]
        return self._photos.pixels[chosen], self._photos.labels[chosen]

    def _shuffle(self) -> None:
        self._order = np.random.default_rng((self._seed, self._epoch)).permutation(self._indices)
        self._gathered: dict[int, Future[Batch]] = {}
