"""TFLite metadata, by which MediaPipe Tasks and Android's tools use a .tflite: labels, color order, normalization.

It is a FlatBuffer in a buffer of the model; the labels are a file in a ZIP archive behind the model
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.errors import ConversionError
from linnet_convert.facts import CHANNELS, Metadata, triple
from linnet_convert.metadata.labels import parse_labels
from linnet_convert.metadata.tflite_schema import (
    ASSOCIATED_FILE,
    AXIS_LABELS,
    CONTENT,
    IDENTIFIER,
    IMAGE_PROPERTIES,
    IMAGE_SIZE,
    IS_IMAGE,
    IS_NORMALIZATION,
    MODEL,
    NORMALIZATION,
    PROCESS_UNIT,
    RGB,
    SUBGRAPH,
    TENSOR,
    TableReader,
    write_floats,
    write_table,
    write_tables,
)
from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import Preprocess

LABELS = "labels.txt"
_NAME, _MODEL_IDENTIFIER = b"TFLITE_METADATA", b"TFL3"
_PARSER = "1.0.0"  # the first version of the readers that knows all that is written here
_ALIGNMENT = 16  # of the model's buffers, which the schema asks for
_MOST_LABEL_BYTES = 10_000_000


def read_tflite(path: Path, model: Any, outputs: int | None) -> Metadata:
    """The metadata of a .tflite.

    Args:
        path: of the file.
        model: its content, a ``ModelT`` of ``schema_py_generated``.
        outputs: how many labels it needs; None where that is not known yet, and no label is read.

    Returns:
        What the metadata states; an empty ``Metadata`` where there is none.
    """
    entries = [entry for entry in model.metadata or [] if entry.name == _NAME]
    data = model.buffers[entries[0].buffer].data if entries else None
    if data is None or bytes(data[4:8]) != IDENTIFIER:
        return Metadata()
    for subgraph in TableReader.root(bytes(data), MODEL).tables("subgraph_metadata", SUBGRAPH)[:1]:
        pixels = subgraph.tables("input_tensor_metadata", TENSOR)[:1]
        logits = subgraph.tables("output_tensor_metadata", TENSOR)[:1]
        mean, std = _read_normalization(pixels)
        found = Metadata(mean=mean, std=std, color="rgb" if _is_rgb(pixels) else None)
        return found if outputs is None else _with_labels(found, path, logits, outputs)
    return Metadata()


def _read_normalization(tensors: list[TableReader]) -> tuple[Any, Any]:
    for unit in (unit for tensor in tensors for unit in tensor.tables("process_units", PROCESS_UNIT)):
        options = unit.table("options", NORMALIZATION)
        if unit.enum("options_type") == IS_NORMALIZATION and options is not None:
            return triple(options.floats("mean")), triple(options.floats("std"))
    return None, None


def _is_rgb(tensors: list[TableReader]) -> bool:
    for tensor in tensors:
        content = tensor.table("content", CONTENT)
        if content is not None and content.enum("content_properties_type") == IS_IMAGE:
            properties = content.table("content_properties", IMAGE_PROPERTIES)
            return properties is not None and properties.enum("color_space") == RGB
    return False


def _with_labels(found: Metadata, path: Path, tensors: list[TableReader], outputs: int) -> Metadata:
    for file in (file for tensor in tensors for file in tensor.tables("associated_files", ASSOCIATED_FILE)):
        if file.enum("type") == AXIS_LABELS and zipfile.is_zipfile(path):
            name = file.text("name")
            with zipfile.ZipFile(path) as archive, archive.open(name) as labels:
                data = labels.read(_MOST_LABEL_BYTES)
            try:
                return msgspec.structs.replace(found, labels=parse_labels(data, f"{name} in {path}", outputs))
            except ConversionError as error:
                return msgspec.structs.replace(found, labels_error=str(error))
    return found


def write_tflite(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes the metadata into a .tflite. MediaPipe's scores are then this model's outputs: logits, where these are.

    TFLite metadata cannot state how a picture is cropped.
    """
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(path.stem, artifact, preprocess), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    path.write_bytes(pack(model))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:  # readers map the labels into memory
        archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{label}\n" for label in labels))


def pack(model: Any) -> bytes:
    """A .tflite of a ``ModelT``, its constants aligned as the schema asks for."""
    builder = _AlignedBuilder(1 << 20)
    builder.Finish(model.Pack(builder), _MODEL_IDENTIFIER)
    return bytes(builder.Output())


def without_metadata(model: Any) -> Any:
    """The same ``ModelT`` without the metadata of an older file, so that ``write_tflite`` can say something else."""
    for entry in model.metadata or []:
        if entry.name == _NAME:
            model.buffers[entry.buffer].data = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _NAME]
    return model


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers has no types
    """Keeps the model's constants where kernels may load them in one go: the schema's generated code forgets."""

    def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802  # flatbuffers' name
        self.Prep(_ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def _metadata(name: str, artifact: Artifact, preprocess: Preprocess) -> bytes:
    """A ModelMetadata."""
    builder = flatbuffers.Builder(1024)
    mean, std = _normalization(artifact)
    pixels = write_table(
        builder,
        TENSOR,
        offsets={
            "name": builder.CreateString(artifact.input.name),
            "description": builder.CreateString("the picture"),
            "content": _write_content(builder, preprocess),
            "process_units": write_tables(builder, [_write_normalization(builder, mean, std)]),
        },
    )
    logits = write_table(
        builder,
        TENSOR,
        offsets={
            "name": builder.CreateString(artifact.output.name),
            "description": builder.CreateString(artifact.output.values),
            "associated_files": write_tables(builder, [_write_labels_entry(builder)]),
        },
    )
    tensors = {
        "input_tensor_metadata": write_tables(builder, [pixels]),
        "output_tensor_metadata": write_tables(builder, [logits]),
    }
    subgraph = write_table(builder, SUBGRAPH, offsets=tensors)
    fields = {
        "name": builder.CreateString(name),
        "subgraph_metadata": write_tables(builder, [subgraph]),
        "min_parser_version": builder.CreateString(_PARSER),
    }
    builder.Finish(write_table(builder, MODEL, offsets=fields), IDENTIFIER)
    return bytes(builder.Output())


def _normalization(artifact: Artifact) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation such that (pixel - mean) / std is the tensor's real value: in a quantized tensor that
    takes pixels as they are, the real value of the pixel.
    """
    spec = artifact.input
    if spec.mean is not None and spec.std is not None:
        return spec.mean, spec.std
    if spec.scale is not None and spec.zero_point is not None:
        offset = 128 if spec.dtype == "int8" else 0
        return (float(spec.zero_point + offset),) * CHANNELS, (1 / spec.scale,) * CHANNELS
    return (0.0,) * CHANNELS, (1.0,) * CHANNELS


def _write_content(builder: flatbuffers.Builder, preprocess: Preprocess) -> int:
    size = write_table(builder, IMAGE_SIZE, counts={"width": preprocess.width, "height": preprocess.height})
    image = write_table(builder, IMAGE_PROPERTIES, offsets={"default_size": size}, enums={"color_space": RGB})
    kind = {"content_properties_type": IS_IMAGE}
    return write_table(builder, CONTENT, offsets={"content_properties": image}, enums=kind)


def _write_normalization(builder: flatbuffers.Builder, mean: tuple[float, ...], std: tuple[float, ...]) -> int:
    values = {"mean": write_floats(builder, mean), "std": write_floats(builder, std)}
    options = write_table(builder, NORMALIZATION, offsets=values)
    return write_table(builder, PROCESS_UNIT, offsets={"options": options}, enums={"options_type": IS_NORMALIZATION})


def _write_labels_entry(builder: flatbuffers.Builder) -> int:
    name = {"name": builder.CreateString(LABELS)}
    return write_table(builder, ASSOCIATED_FILE, offsets=name, enums={"type": AXIS_LABELS})
