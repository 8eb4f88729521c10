"""TFLite metadata, by which MediaPipe Tasks and Android's tools read a .tflite: labels, colours, normalisation.

A FlatBuffer in a buffer of the model, and the labels in a ZIP archive behind it
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata). Its schema, metadata_schema.fbs, is in no package
that Linnet needs: the fields are written by their places in it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types

from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import Preprocess

LABELS = "labels.txt"
_NAME, _IDENTIFIER, _MODEL_IDENTIFIER = b"TFLITE_METADATA", b"M001", b"TFL3"
_PARSER = "1.0.0"  # from which on readers know all that is written here
_ALIGNMENT = 16  # of the model's buffers, which the schema asks for
_CHANNELS = 3
# Values of the schema's enumerations.
_IMAGE_PROPERTIES, _RGB, _NORMALIZATION, _AXIS_LABELS = 2, 1, 1, 2


def write(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes the metadata into a .tflite. MediaPipe's scores are then this model's outputs: logits, where these are.

    The pictures are for its user to crop: TFLite metadata has no word for that.
    """
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(path.stem, artifact, preprocess), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = _AlignedBuilder(path.stat().st_size)
    builder.Finish(model.Pack(builder), _MODEL_IDENTIFIER)
    path.write_bytes(builder.Output())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:  # readers map the labels into memory
        archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{label}\n" for label in labels))


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers has no types
    """Keeps the model's constants where kernels may load them in one go: the schema's generated code forgets."""

    def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802  # flatbuffers' name
        self.Prep(_ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def _metadata(name: str, artifact: Artifact, preprocess: Preprocess) -> bytes:
    """A ModelMetadata."""
    builder = flatbuffers.Builder(1024)
    mean, std = _normalisation(artifact)
    pixels = _table(
        builder,
        7,
        {
            0: builder.CreateString(artifact.input.name),
            1: builder.CreateString("the picture"),
            3: _content(builder, preprocess),
            4: _tables(builder, [_normalization(builder, mean, std)]),
        },
    )
    logits = _table(
        builder,
        7,
        {
            0: builder.CreateString(artifact.output.name),
            1: builder.CreateString(artifact.output.values),
            6: _tables(builder, [_table(builder, 5, {0: builder.CreateString(LABELS)}, {2: _AXIS_LABELS})]),
        },
    )
    subgraph = _table(builder, 10, {2: _tables(builder, [pixels]), 3: _tables(builder, [logits])})
    fields = {
        0: builder.CreateString(name),
        3: _tables(builder, [subgraph]),
        7: builder.CreateString(_PARSER),
    }
    builder.Finish(_table(builder, 8, fields), _IDENTIFIER)
    return bytes(builder.Output())


def _normalisation(artifact: Artifact) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(pixel - mean) / std is what the tensor stands for: in a quantised one that takes pixels as they are, the real
    value of the pixel.
    """
    spec = artifact.input
    if spec.mean is not None and spec.std is not None:
        return spec.mean, spec.std
    if spec.scale is not None and spec.zero_point is not None:
        offset = 128 if spec.dtype == "int8" else 0
        return (float(spec.zero_point + offset),) * _CHANNELS, (1 / spec.scale,) * _CHANNELS
    return (0.0,) * _CHANNELS, (1.0,) * _CHANNELS


def _content(builder: flatbuffers.Builder, preprocess: Preprocess) -> int:
    size = _table(builder, 2, {}, {}, {0: preprocess.width, 1: preprocess.height})
    image = _table(builder, 2, {1: size}, {0: _RGB})
    return _table(builder, 2, {1: image}, {0: _IMAGE_PROPERTIES})


def _normalization(builder: flatbuffers.Builder, mean: tuple[float, ...], std: tuple[float, ...]) -> int:
    options = _table(builder, 2, {0: _floats(builder, mean), 1: _floats(builder, std)})
    return _table(builder, 2, {1: options}, {0: _NORMALIZATION})


def _table(
    builder: flatbuffers.Builder,
    fields: int,
    offsets: dict[int, int],
    small: dict[int, int] | None = None,
    whole: dict[int, int] | None = None,
) -> int:
    """A table of the schema: by each field's place in it, what is an offset, an int8 (enumerations), a uint32."""
    builder.StartObject(fields)
    for place, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(place, offset, 0)
    for place, value in (small or {}).items():
        builder.PrependInt8Slot(place, value, 0)
    for place, value in (whole or {}).items():
        builder.PrependUint32Slot(place, value, 0)
    return builder.EndObject()


def _tables(builder: flatbuffers.Builder, tables: list[int]) -> int:
    builder.StartVector(number_types.UOffsetTFlags.bytewidth, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _floats(builder: flatbuffers.Builder, values: tuple[float, ...]) -> int:
    builder.StartVector(number_types.Float32Flags.bytewidth, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
