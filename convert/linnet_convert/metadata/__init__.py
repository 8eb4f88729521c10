"""What an artifact says for other people's programs: its labels, its normalisation, its colours.

MediaPipe Tasks and Android's tools read TFLite metadata, OpenVINO's model_api reads ``model_info`` in ONNX and IR
files. Linnet's own runtime reads the bundle alone.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linnet_convert.metadata import model_info, tflite
from linnet_runtime.bundle import Artifact, describe_file
from linnet_runtime.preprocess import Preprocess

_WRITERS = {"tflite": tflite.write, "onnx": model_info.write_onnx, "openvino": model_info.write_openvino}


def write_metadata(root: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> Artifact:
    """Writes into an artifact's file what its readers want to know; the model in it stays as it is.

    Args:
        root: the bundle's directory.
        artifact: below it.
        labels: one for each of its outputs.
        preprocess: how a picture becomes its pixels.

    Returns:
        The artifact with its file's new size and hash.
    """
    path = root / artifact.path
    _WRITERS[artifact.format](path, artifact, labels, preprocess)
    file = describe_file(path, root)
    return msgspec.structs.replace(artifact, bytes=file.bytes, sha256=file.sha256)
