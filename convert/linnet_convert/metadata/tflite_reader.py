"""What a .tflite says for its readers: the metadata that MediaPipe and Android's tools write into it.

A table of FlatBuffers in a buffer of the model, and the files that it names in a ZIP archive behind the model
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata). Its schema, metadata_schema.fbs, is not in any
package that Linnet needs, so the few fields are read by their places in it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table

from linnet_convert.facts import Metadata, triple

NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
_MOST_LABEL_BYTES = 10_000_000
# Places of fields in their tables.
_MODEL_SUBGRAPHS = 3
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS = 2, 3
_TENSOR_CONTENT, _TENSOR_UNITS, _TENSOR_FILES = 3, 4, 6
_CONTENT_KIND, _CONTENT = 0, 1
_UNIT_KIND, _UNIT = 0, 1
_MEAN, _STD = 0, 1
_FILE_NAME, _FILE_TYPE = 0, 2
# Values of its enumerations.
_IMAGE, _RGB, _NORMALIZATION, _AXIS_LABELS = 2, 1, 1, 2


def read_metadata(path: Path, model: Any) -> Metadata:
    """The metadata of a model of ``schema_py_generated``, empty where it has none or it is damaged."""
    entries = [entry for entry in model.metadata or [] if entry.name == NAME]
    data = model.buffers[entries[0].buffer].data if entries else None
    if data is None or bytes(data[4:8]) != _IDENTIFIER:
        return Metadata()
    buffer = bytearray(bytes(data))
    root = Table(buffer, flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0))
    for subgraph in _tables(root, _MODEL_SUBGRAPHS)[:1]:
        pixels, logits = (_tables(subgraph, place)[:1] for place in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS))
        mean, std = _normalisation(pixels)
        return Metadata(labels=_labels(path, logits), mean=mean, std=std, color="rgb" if _is_rgb(pixels) else None)
    return Metadata()


def _normalisation(tensors: list[Table]) -> tuple[Any, Any]:
    for unit in (unit for tensor in tensors for unit in _tables(tensor, _TENSOR_UNITS)):
        options = _table(unit, _UNIT)
        if _number(unit, _UNIT_KIND) == _NORMALIZATION and options is not None:
            return triple(_floats(options, _MEAN)), triple(_floats(options, _STD))
    return None, None


def _is_rgb(tensors: list[Table]) -> bool:
    for tensor in tensors:
        content = _table(tensor, _TENSOR_CONTENT)
        if content is not None and _number(content, _CONTENT_KIND) == _IMAGE:
            properties = _table(content, _CONTENT)
            return properties is not None and _number(properties, 0) == _RGB
    return False


def _labels(path: Path, tensors: list[Table]) -> tuple[str, ...] | None:
    for file in (file for tensor in tensors for file in _tables(tensor, _TENSOR_FILES)):
        if _number(file, _FILE_TYPE) == _AXIS_LABELS and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open(_text(file, _FILE_NAME)) as labels:
                return tuple(labels.read(_MOST_LABEL_BYTES).decode().splitlines())
    return None


def _place(table: Table, field: int) -> int:
    """Where a field's value is in the buffer; 0 where it has none."""
    offset = table.Offset(4 + 2 * field)
    return table.Pos + offset if offset else 0


def _table(table: Table, field: int) -> Table | None:
    place = _place(table, field)
    return Table(table.Bytes, table.Indirect(place)) if place else None


def _tables(table: Table, field: int) -> list[Table]:
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    start = table.Vector(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(table.VectorLen(offset))]


def _number(table: Table, field: int) -> int:
    place = _place(table, field)
    return int(table.Get(number_types.Int8Flags, place)) if place else 0


def _floats(table: Table, field: int) -> list[float]:
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    numbers = table.GetVectorAsNumpy(number_types.Float32Flags, offset)
    return [float(number) for number in numbers]


def _text(table: Table, field: int) -> str:
    place = _place(table, field)
    return bytes(table.String(place)).decode() if place else ""
