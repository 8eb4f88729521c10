"""The page of what the network sees: photos of the training part, each as several training steps get it."""

from __future__ import annotations

from pathlib import Path

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.files import write_whole
from linnet_runtime.pages import render_page, thumbnail_uri
from linnet_runtime.photos import Photos
from linnet_train.augment.layers import augment, mix
from linnet_train.augment.mix import mixed_labels
from linnet_train.augment.settings import Augmentation

AUGMENTATION = "augmentation.html"  # in a run's directory
PHOTOS = 12
VERSIONS = 7
_FRAME = (128, 128)  # width and height in pixels that a picture fits into
_LEAST_SHARE = 0.005  # of a label that is named


class Seen(msgspec.Struct, frozen=True):
    """A picture on the page: a data URI, and its labels with their shares."""

    uri: str
    label: str


def write_augmentation_page(
    path: Path, settings: Augmentation, photos: Photos, classes: tuple[str, ...], seed: int
) -> None:
    """Writes the page, replacing an older one.

    Args:
        path: the page's.
        settings: of the augmentation that is shown.
        photos: a row each; mixing takes its partners from among them.
        classes: the labels' names.
        seed: of the augmentation.
    """
    one_hot = np.eye(len(classes), dtype=np.float32)[photos.labels]
    columns = [_seen(photos.pixels.astype(np.float32), one_hot, classes)]
    model = _model(settings, photos.pixels.shape[1:], seed)
    for _ in range(VERSIONS):
        outputs = model(photos.pixels, training=True)
        own = outputs.get("own")
        soft = one_hot if own is None else np.asarray(mixed_labels(photos.labels, own, len(classes)))
        columns.append(_seen(np.asarray(outputs["pixels"]), soft, classes))
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


def _model(settings: Augmentation, shape: tuple[int, ...], seed: int) -> keras.Model:
    pixels = keras.Input(shape, dtype="uint8")
    seen = augment(pixels, settings, seed)
    if not settings.mixes:
        return keras.Model(pixels, {"pixels": seen})
    seen, own = mix(seen, settings, seed)
    return keras.Model(pixels, {"pixels": seen, "own": own})


def _seen(pixels: NDArray[np.float32], labels: NDArray[np.float32], classes: tuple[str, ...]) -> list[Seen]:
    pictures = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)[..., ::-1]
    return [Seen(thumbnail_uri(p, *_FRAME), _named(of, classes)) for p, of in zip(pictures, labels, strict=True)]


def _named(shares: NDArray[np.float32], classes: tuple[str, ...]) -> str:
    """``glass 63 %, paper 37 %``; the name alone where there is one."""
    order = [i for i in np.argsort(-shares, kind="stable") if shares[i] >= _LEAST_SHARE]
    if len(order) == 1:
        return classes[order[0]]
    return ", ".join(f"{classes[i]} {100 * shares[i]:.0f}\u00a0%" for i in order)
