"""Every artifact against the model that it came from, through the very sessions that a device will use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_devices.api import Artifact, Logits, OpenOptions, Pixels
from linnet_devices.registry import load_device
from linnet_runtime.parity import LEAST_AGREEMENT, agrees, compare_logits
from linnet_runtime.sessions import artifact_device

_BATCH = 64


def keras_logits(model: keras.Model, pixels: Pixels) -> Logits:
    """uint8 [N, H, W, 3] to the Keras model's float32 logits [N, classes]."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), dtype=np.float32)


def artifact_logits(artifact: Artifact, root: Path, pixels: Pixels) -> Logits:
    """The same from an artifact below ``root`` on its own CPU engine."""
    absolute = msgspec.structs.replace(artifact, path=str(root / artifact.path))
    with load_device(artifact_device(artifact)).open(absolute, OpenOptions()) as session:
        return session.run(pixels)


def measure_parity(
    artifacts: Iterable[Artifact],
    root: Path,
    pixels: Pixels,
    labels: NDArray[np.int64] | None,
    reference: dict[str, tuple[str, Logits]],
    on_artifact: Callable[[Artifact], None],
) -> tuple[Artifact, ...]:
    """The artifacts with their parity filled in.

    Args:
        artifacts: below ``root``.
        root: the bundle's directory.
        pixels: uint8 [N, H, W, 3], of validation photos.
        labels: int64 [N], their true labels where they are known.
        reference: the name and the logits of the model that it came from, by "int8" and "float".
        on_artifact: hears of each artifact when it is measured.

    Raises:
        ConversionError: artifacts that do not agree with their models, each with its figures.
    """
    measured = []
    for artifact in artifacts:
        name, expected = reference["int8" if artifact.is_int8 else "float"]
        parity = compare_logits(name, expected, artifact_logits(artifact, root, pixels), labels)
        measured.append(msgspec.structs.replace(artifact, parity=parity))
        on_artifact(artifact)
    failed = [
        f"{artifact.path} agrees on {artifact.parity.agreement:.4f} of {artifact.parity.n} photos "
        f"(interval {artifact.parity.agreement_low:.4f}..{artifact.parity.agreement_high:.4f}, "
        f"logits off by up to {artifact.parity.max_abs_logit_diff:.3g})"
        for artifact in measured
        if artifact.parity is not None and not agrees(artifact.parity, artifact.precision)
    ]
    if failed:
        least = ", ".join(f"{share} in {precision}" for precision, share in LEAST_AGREEMENT.items())
        raise ConversionError("parity", got="; ".join(failed), expected=f"an interval that reaches {least}")
    return tuple(measured)
