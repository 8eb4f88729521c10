"""The tables of TFLite metadata, written and read field by field.

Their schema, metadata_schema.fbs of tflite-support, comes with generated code in no package that Linnet needs. A table
is known here by the names of its fields in the order of the schema, which is all that the FlatBuffers format asks for.
"""

from __future__ import annotations

import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table

IDENTIFIER = b"M001"

Fields = tuple[str, ...]
MODEL: Fields = (
    *("name", "description", "version", "subgraph_metadata", "author", "license", "associated_files"),
    "min_parser_version",
)
SUBGRAPH: Fields = (
    *("name", "description", "input_tensor_metadata", "output_tensor_metadata", "associated_files"),
    *("input_process_units", "output_process_units", "input_tensor_groups", "output_tensor_groups"),
    "custom_metadata",
)
TENSOR: Fields = ("name", "description", "dimension_names", "content", "process_units", "stats", "associated_files")
CONTENT: Fields = ("content_properties_type", "content_properties", "range")
IMAGE_PROPERTIES: Fields = ("color_space", "default_size")
IMAGE_SIZE: Fields = ("width", "height")
PROCESS_UNIT: Fields = ("options_type", "options")
NORMALIZATION: Fields = ("mean", "std")
ASSOCIATED_FILE: Fields = ("name", "description", "type", "locale", "version")

# Values of the schema's unions and enumerations.
IS_IMAGE, IS_NORMALIZATION, RGB, AXIS_LABELS = 2, 1, 1, 2


def write_table(
    builder: flatbuffers.Builder,
    fields: Fields,
    *,
    offsets: dict[str, int] | None = None,
    enums: dict[str, int] | None = None,
    counts: dict[str, int] | None = None,
) -> int:
    """Writes a table and returns its offset.

    Args:
        builder: of the whole FlatBuffer.
        fields: the table's kind.
        offsets: values that the builder has written before: texts, vectors, tables.
        enums: values of one byte.
        counts: values of type uint32.
    """
    builder.StartObject(len(fields))
    for name, offset in (offsets or {}).items():
        builder.PrependUOffsetTRelativeSlot(fields.index(name), offset, 0)
    for name, value in (enums or {}).items():
        builder.PrependInt8Slot(fields.index(name), value, 0)
    for name, value in (counts or {}).items():
        builder.PrependUint32Slot(fields.index(name), value, 0)
    return builder.EndObject()


def write_tables(builder: flatbuffers.Builder, tables: list[int]) -> int:
    """Writes a vector of tables, by their offsets, and returns its own."""
    builder.StartVector(number_types.UOffsetTFlags.bytewidth, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def write_floats(builder: flatbuffers.Builder, values: tuple[float, ...]) -> int:
    """Writes a vector of float32 and returns its offset."""
    builder.StartVector(number_types.Float32Flags.bytewidth, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


class TableReader:
    """A table in a buffer; a field that it leaves out reads as None, 0, "" or []."""

    def __init__(self, table: Table, fields: Fields) -> None:
        self._table, self._fields = table, fields

    @classmethod
    def root(cls, data: bytes, fields: Fields) -> TableReader:
        """The table that a FlatBuffer begins with."""
        buffer = bytearray(data)
        return cls(Table(buffer, flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0)), fields)

    def table(self, name: str, fields: Fields) -> TableReader | None:
        place = self._place(name)
        return TableReader(Table(self._table.Bytes, self._table.Indirect(place)), fields) if place else None

    def tables(self, name: str, fields: Fields) -> list[TableReader]:
        offset = self._offset(name)
        if not offset:
            return []
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        places = [self._table.Indirect(start + number_types.UOffsetTFlags.bytewidth * i) for i in range(count)]
        return [TableReader(Table(self._table.Bytes, place), fields) for place in places]

    def enum(self, name: str) -> int:
        place = self._place(name)
        return int(self._table.Get(number_types.Int8Flags, place)) if place else 0

    def floats(self, name: str) -> list[float]:
        offset = self._offset(name)
        if not offset:
            return []
        return [float(number) for number in self._table.GetVectorAsNumpy(number_types.Float32Flags, offset)]

    def text(self, name: str) -> str:
        place = self._place(name)
        return bytes(self._table.String(place)).decode() if place else ""

    def _offset(self, name: str) -> int:
        """The field's offset in the table; 0 where it is left out. The table begins with the sizes of itself and of its
        list of offsets, 2 bytes each.
        """
        return int(self._table.Offset(4 + 2 * self._fields.index(name)))

    def _place(self, name: str) -> int:
        """The field's place in the buffer; 0 where it is left out."""
        offset = self._offset(name)
        return self._table.Pos + offset if offset else 0
