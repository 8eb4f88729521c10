"""Batches of photos: in random order for training, optionally with balanced classes, and in order for validation."""

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

    The order depends only on the seed and the epoch, so a resumed run sees the photos in the same order as one that was
    not interrupted. A thread reads the next batches from the disk while the network computes; copying releases Python's
    lock.
    """

    def __init__(
        self, photos: Dataset, part: str, batch_size: int, seed: int, first_epoch: int, sampling: str = "natural"
    ) -> None:
        """``sampling`` is "natural" or "balanced". A balanced epoch has the same length, with each class equally often;
        see ``balanced``.
        """
        super().__init__(workers=1)
        self._photos = photos
        self._indices = photos.parts[part]
        self._batch_size = min(batch_size, len(self._indices))
        self._seed, self._sampling = seed, sampling
        self._epoch = first_epoch
        self._gatherer = ThreadPoolExecutor(1, thread_name_prefix="photos")
        self._shuffle()

    def __len__(self) -> int:
        return len(self._indices) // self._batch_size  # a smaller last batch would need a second graph

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
    """The photos of a part in order: (pixels uint8 [B, H, W, 3], labels int64 [B]). The last batch may be smaller.

    Each batch is read from the disk when it is needed, because a part may not fit into memory.
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
    """Indices in random order: as many as ``indices`` has, and equally many of each class, to within one.

    Photos of a small class are repeated after all of them have been used. Some photos of a large class are left for
    another epoch.
    """
    classes = [indices[labels == label] for label in np.unique(labels)]
    counts = np.full(len(classes), len(indices) // len(classes))
    counts[rng.permutation(len(classes))[: len(indices) % len(classes)]] += 1
    drawn = [
        np.concatenate([rng.permutation(of_class) for _ in range(-(-count // len(of_class)))])[:count]
        for of_class, count in zip(classes, counts, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))
