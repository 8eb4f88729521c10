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
from linnet_runtime.bundle import Bundle, BundleError
from linnet_runtime.bundle_files import check_file
from linnet_runtime.files.npz import NpzError, numbers, read_npz

REFERENCE = "reference.npz"
_DIGEST_BYTES = 32
# Digests and logits hardly compress: an archive that expands further is not one of ours.
_MOST_EXPANSION = 16
_SLACK_BYTES = 1 << 20


@dataclass(frozen=True)
class Reference:
    """The logits of the models that the artifacts were made from, on the validation photos."""

    digests: NDArray[np.uint8]
    """uint8 [N, 32]: the SHA-256 of each photo's pixels."""
    logits: dict[str, Logits]
    """float32 [N, classes] by the model's precision: "int8", the quantization-aware model, and "float"."""

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


def load_reference(bundle: Bundle) -> Reference | None:
    """The reference of an open bundle; None where it has none.

    Raises:
        BundleError: the file is damaged, or its arrays do not fit the bundle's labels.
    """
    file = bundle.reference
    if file is None:
        return None
    check_file(file)
    try:
        arrays = read_npz(Path(file.path), most_bytes=_SLACK_BYTES + _MOST_EXPANSION * file.bytes)
        digests = numbers(arrays, "digests", np.uint8, (_DIGEST_BYTES,))
        names = [name for name in arrays if name != "digests"]
        logits = {name: numbers(arrays, name, np.float32, (len(bundle.labels),)) for name in names}
        if any(len(known) != len(digests) for known in logits.values()):
            raise NpzError(f"{len(digests)} photos with logits of {[len(known) for known in logits.values()]}")
        return Reference(digests, logits)
    except NpzError as error:
        raise BundleError(file.path, got=str(error), expected="the reference that linnet convert writes") from error
