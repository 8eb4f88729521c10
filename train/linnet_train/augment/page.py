"""The augmentation page: photos of the training part, each as it enters several training steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.files.folders import write_whole
from linnet_runtime.pages import render_page, thumbnail_uri
from linnet_runtime.photos.listing import Photos
from linnet_train.augment.layers import augment, mix
from linnet_train.augment.mix import mixed_labels
from linnet_train.augment.settings import Augmentation
from linnet_train.backend import uses_xla

PHOTOS = 12
VERSIONS = 7
_FRAME = (128, 128)  # largest width and height of a picture, in pixels
_LEAST_SHARE = 0.005  # smaller shares of a label are not shown


class Seen(msgspec.Struct, frozen=True):
    """A picture on the page."""

    uri: str
    """The picture as a data URI."""
    label: str
    """Its label, or its labels with their shares."""


def write_augmentation_page(
    path: Path, settings: Augmentation, photos: Photos, classes: tuple[str, ...], seed: int
) -> None:
    """Writes the page, replacing an older one.

    Args:
        path: the page to write.
        settings: the augmentation to show.
        photos: one row of the page each. Mixing uses these photos alone.
        classes: the names of the labels.
        seed: the random seed of the augmentation.
    """
    steps = _training_steps(settings, photos, seed)
    one_hot = np.eye(len(classes), dtype=np.float32)[photos.labels]
    columns = [_seen(photos.pixels.astype(np.float32), one_hot, classes)]
    for pixels, own in steps:
        soft = one_hot if own is None else np.asarray(mixed_labels(photos.labels, own, len(classes)))
        columns.append(_seen(pixels, soft, classes))
    html = render_page(
        "linnet_train.augment",
        name=path.resolve().parent.name,
        view=settings.view,
        settings=settings.active(),
        rows=list(zip(*columns, strict=True)),
        mixes=settings.mixes,
        size=photos.pixels.shape[1],
    )
    write_whole(path, html.encode())


class _InTraining(keras.layers.Layer):
    """Runs a model in training mode inside ``predict``, which compiles it. Uncompiled, JAX would take a minute."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(dtype="float32")
        self._model = model

    def call(self, inputs: Any) -> Any:
        return self._model(inputs, training=True)


def _training_steps(settings: Augmentation, photos: Photos, seed: int) -> list[tuple[Any, Any]]:
    """The photos in each step: pixels float32 [N, H, W, 3], and the share of each photo in its mix, or None."""
    pixels = keras.Input(photos.pixels.shape[1:], dtype="uint8")
    seen, own = augment(pixels, settings, seed), None
    if settings.mixes:
        seen, own = mix(seen, settings, seed)
    outputs = {"pixels": seen} if own is None else {"pixels": seen, "own": own}
    step = keras.Model(pixels, _InTraining(keras.Model(pixels, outputs))(pixels))
    step.compile(jit_compile=uses_xla())
    batches = np.concatenate([photos.pixels] * VERSIONS)
    found = step.predict(batches, batch_size=len(photos), verbose=0)
    split = {name: np.split(values, VERSIONS) for name, values in found.items()}
    return list(zip(split["pixels"], split.get("own", [None] * VERSIONS), strict=True))


def _seen(pixels: NDArray[np.float32], labels: NDArray[np.float32], classes: tuple[str, ...]) -> list[Seen]:
    pictures = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)[..., ::-1]
    return [Seen(thumbnail_uri(p, *_FRAME), _named(of, classes)) for p, of in zip(pictures, labels, strict=True)]


def _named(shares: NDArray[np.float32], classes: tuple[str, ...]) -> str:
    """``glass 63 %, paper 37 %``, or only the name if there is one label."""
    order = [i for i in np.argsort(-shares, kind="stable") if shares[i] >= _LEAST_SHARE]
    if len(order) == 1:
        return classes[order[0]]
    return ", ".join(f"{classes[i]} {100 * shares[i]:.0f}\u00a0%" for i in order)
