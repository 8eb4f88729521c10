"""Writes each artifact's metadata in the form of its format."""

from __future__ import annotations

from pathlib import Path

import msgspec

from linnet_convert.metadata import model_info, tflite
from linnet_runtime.bundle import Artifact
from linnet_runtime.bundle_files import describe_file
from linnet_runtime.preprocess import Preprocess

_WRITERS = {"tflite": tflite.write_tflite, "onnx": model_info.write_onnx, "openvino": model_info.write_openvino}


def write_metadata(root: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> Artifact:
    """Writes metadata into an artifact's file; the model in it stays as it is.

    Args:
        root: the bundle's directory.
        artifact: an artifact of that directory.
        labels: one for each output of the model.
        preprocess: how a picture becomes the model's pixels.

    Returns:
        The artifact with its file's new size and hash.
    """
    path = root / artifact.path
    _WRITERS[artifact.format](path, artifact, labels, preprocess)
    file = describe_file(path, root)
    return msgspec.structs.replace(artifact, bytes=file.bytes, sha256=file.sha256)
