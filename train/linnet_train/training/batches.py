"""Which photos a step sees: all once an epoch or every class equally often in training, all in turn in judging."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels
from linnet_train.data.dataset import Dataset
from linnet_train.data.splits import Indices

_BATCHES_AHEAD = 3
Batch = tuple[Pixels, NDArray[np.int64]]


class PhotoBatches(keras.utils.PyDataset):
    """Batches of (pixels uint8 [B, H, W, 3], labels int64 [B]) in a new order each epoch.

    The order follows from the seed and the epoch alone, so that a resumed run sees the photos that it would have seen.
    A thread gathers the next batches from the disk while the network computes: the copying lets go of Python's lock.
    """

    def __init__(
        self, photos: Dataset, part: str, batch_size: int, seed: int, first_epoch: int, sampling: str = "natural"
    ) -> None:
        """With ``sampling`` "balanced" an epoch is as long, but has each class equally often; see ``balanced``."""
        super().__init__(workers=1)
        self._photos = photos
        self._indices = photos.parts[part]
        self._batch_size = min(batch_size, len(self._indices))
        self._seed, self._sampling = seed, sampling
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
        rng = np.random.default_rng((self._seed, self._epoch))
        if self._sampling == "balanced":
            self._order = balanced(self._indices, self._photos.labels[self._indices], rng)
        else:
            self._order = rng.permutation(self._indices)
        self._gathered: dict[int, Future[Batch]] = {}


class PhotosInTurn(keras.utils.PyDataset):
    """A part's photos in its order: (pixels uint8 [B, H, W, 3], labels int64 [B]), the last batch a smaller one.

    They are read from the disk as they come: a part may be larger than the memory.
    """

    def __init__(self, photos: Dataset, part: str, batch_size: int) -> None:
        super().__init__(workers=1)
        self._photos, self._indices, self._batch_size = photos, photos.parts[part], batch_size

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def __getitem__(self, i: int) -> Batch:
        chosen = self._indices[i * self._batch_size : (i + 1) * self._batch_size]
        return self._photos.pixels[chosen], self._photos.labels[chosen]


def balanced(indices: Indices, labels: NDArray[np.int64], rng: np.random.Generator) -> Indices:
    """As many indices in a random order, of each class equally many, to within one.

    A small class's photos come again once all of them have been; of a large class some wait for another epoch.
    """
    classes = [indices[labels == label] for label in np.unique(labels)]
    counts = np.full(len(classes), len(indices) // len(classes))
    counts[rng.permutation(len(classes))[: len(indices) % len(classes)]] += 1
    drawn = [
        np.concatenate([rng.permutation(of_class) for _ in range(-(-count // len(of_class)))])[:count]
        for of_class, count in zip(classes, counts, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))
