"""The Keras models' own logits in the bundle, so that parity with them can be repeated where there is no TensorFlow.

``reference.npz`` knows each validation photo by the SHA-256 of its pixels and keeps no picture.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Pixels
from linnet_runtime.bundle import BundleError, File, check_file
from linnet_runtime.files import NPZ_ERRORS

REFERENCE = "reference.npz"


@dataclass(frozen=True)
class Reference:
    """``digests`` uint8 [N, 32], one a photo; ``logits`` float32 [N, classes] by the model's precision, "int8" (the
    quantisation-aware model) and "float".
    """

    digests: NDArray[np.uint8]
    logits: dict[str, Logits]

    def find(self, pixels: Pixels) -> NDArray[np.intp]:
        """The index of each photo of uint8 [M, H, W, 3] in this reference, or -1: int [M]."""
        index = {digest.tobytes(): i for i, digest in enumerate(self.digests)}
        return np.array([index.get(digest.tobytes(), -1) for digest in photo_digests(pixels)], dtype=np.intp)


def photo_digests(pixels: Pixels) -> NDArray[np.uint8]:
    """SHA-256 of each photo's bytes: uint8 [N, H, W, 3] to uint8 [N, 32]."""
    return np.array([list(hashlib.sha256(photo.tobytes()).digest()) for photo in pixels], dtype=np.uint8)


def save_reference(path: Path, pixels: Pixels, logits: dict[str, Logits]) -> None:
    """Writes ``reference.npz`` for photos uint8 [N, H, W, 3]."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, digests=photo_digests(pixels), **logits)  # type: ignore[arg-type]  # its stub
    path.write_bytes(buffer.getvalue())


def load_reference(file: File) -> Reference:
    """Raises BundleError where the file is damaged."""
    check_file(file)
    try:
        with Path(file.path).open("rb") as data, np.load(data, allow_pickle=False) as arrays:
            logits = {name: arrays[name] for name in arrays.files if name != "digests"}
            return Reference(arrays["digests"], logits)
    except NPZ_ERRORS as error:
        raise BundleError(file.path, got=str(error), expected="the reference that linnet convert writes") from error
