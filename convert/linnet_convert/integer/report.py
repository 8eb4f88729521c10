"""Integer reports, whatever the format: which operations compute in integers, and whether all do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from linnet_convert.errors import ConversionError
from linnet_devices.presets import EDGETPU_OP
from linnet_runtime.bundle import Artifact

Kind = Literal["fully integer", "integer inside", "partly integer", "dynamic range", "float", "compiled"]
INTEGERS = frozenset({"int4", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool"})
# They compute nothing, so their data type does not matter: behind the last dequantization they are in float.
_MOVES = frozenset(
    {
        *("FLATTEN", "RESHAPE", "TRANSPOSE", "SQUEEZE", "UNSQUEEZE", "IDENTITY", "EXPANDDIMS", "EXPAND_DIMS"),
        *("REORDER", "REORDERINPUT", "REORDEROUTPUT"),
    }
)
_MOST_LISTED = 40  # rows of operations in float, on a page that people read


@dataclass(frozen=True)
class Operation:
    """An operation as its engine runs it."""

    kind: str
    """Its name in the engine: "CONV_2D", "QLinearConv"."""
    name: str
    """Its own name in the graph."""
    dtype: str
    """The data type of what it computes."""
    converts: bool = False
    """Whether it only quantizes, dequantizes or casts what another operation computes."""
    hybrid: bool = False
    """Whether its stored weights are integers and what it computes with them is not."""
    float_because: str = ""
    """Why it computes in float; "" where it does not."""

    @property
    def is_integer(self) -> bool:
        return self.dtype in INTEGERS

    @property
    def computes(self) -> bool:
        """Whether it makes new values, or moves integers."""
        return not self.converts and (self.is_integer or self.kind.upper() not in _MOVES)


@dataclass(frozen=True)
class InFloat:
    """Operations of one kind that compute in float for one reason."""

    kind: str
    """As ``Operation.kind``."""
    count: int
    """How many there are."""
    first: str
    """The name of the first one."""
    why: str
    """The reason."""


@dataclass(frozen=True)
class Pieces:
    """How a library that accelerates an engine divides the graph: each boundary between its pieces and the operations
    that it leaves to the engine costs time, so that a model that is fully integer may still be slow.
    """

    library: str
    """The library: "XNNPACK"."""
    count: int
    """The number of pieces that it runs."""
    left_out: dict[str, int]
    """The number of operations that it leaves to the engine, by kind."""


@dataclass(frozen=True)
class IntegerReport:
    """What one artifact computes in."""

    path: str
    """The artifact, relative to the bundle."""
    engine: str
    """The engine that was asked, with its version where it has one."""
    input: str
    """Data type and shape of the input: "uint8 [1, 160, 160, 3]"."""
    output: str
    """Data type and shape of the output."""
    kind: Kind
    """The verdict in a word."""
    verdict: str
    """The verdict in a sentence."""
    operations: dict[str, dict[str, int]]
    """The number of operations by kind and then by data type."""
    in_float: tuple[InFloat, ...]
    """The operations in float, most frequent first; at most 40 rows."""
    conversions: dict[str, int]
    """The number of operations that only convert: "quantize" and "dequantize"."""
    weights: dict[str, int]
    """The number of quantized weights that are "per channel" and "per tensor"."""
    foreign: tuple[str, ...] = ()
    """Operations that only another library computes: TensorFlow's own (Flex), an Edge TPU's."""
    pieces: Pieces | None = None
    """How a library divides the graph; None where there is none, or it cannot run the model."""


@dataclass
class Findings:
    """What the reader of a format finds in an artifact."""

    engine: str
    """As ``IntegerReport.engine``."""
    input: str
    """The data type of the input."""
    output: str
    """The data type of the output."""
    operations: list[Operation]
    """All operations, in the order in which they run."""
    conversions: dict[str, int]
    """As ``IntegerReport.conversions``."""
    weights: dict[str, int]
    """As ``IntegerReport.weights``."""
    foreign: tuple[str, ...] = ()
    """As ``IntegerReport.foreign``."""
    pieces: Pieces | None = None
    """As ``IntegerReport.pieces``."""
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = field(default=((), ()))
    """The shapes of the input and the output."""


def summarize(path: str, found: Findings) -> IntegerReport:
    """The report of the findings in the artifact ``path``."""
    kind = _kind(found)
    table: dict[str, dict[str, int]] = {}
    for (operation, dtype), count in sorted(Counter((op.kind, op.dtype) for op in found.operations).items()):
        table.setdefault(operation, {})[dtype] = count
    return IntegerReport(
        path=path,
        engine=found.engine,
        input=f"{found.input} {list(found.shapes[0])}",
        output=f"{found.output} {list(found.shapes[1])}",
        kind=kind,
        verdict=_verdict(kind, found),
        operations=table,
        in_float=_in_float(found.operations) if kind != "float" else (),
        conversions=found.conversions,
        weights=found.weights,
        foreign=found.foreign,
        pieces=found.pieces,
    )


def refuse_dynamic_range(artifact: Artifact, report: IntegerReport) -> None:
    """Raises ConversionError for an int8 artifact of which only the weights are integers."""
    if artifact.is_int8 and report.kind in ("dynamic range", "float"):
        raise ConversionError(
            f"{artifact.path}, an int8 model",
            got=report.verdict,
            expected="activations in integers too",
            fix="quantize it with calibration photos",
        )


def _kind(found: Findings) -> Kind:
    if EDGETPU_OP in found.foreign:
        return "compiled"
    computing = [op for op in found.operations if op.computes]
    floats = [op for op in computing if not op.is_integer]
    weighty = [op for op in floats if op.hybrid]
    if not floats and not found.foreign:
        ends = {found.input, found.output} <= INTEGERS
        return "fully integer" if ends else "integer inside"
    if weighty and not any(op.is_integer and op.kind in {w.kind for w in weighty} for op in computing):
        return "dynamic range"
    return "partly integer" if any(op.is_integer for op in computing) and found.weights else "float"


def _in_float(operations: list[Operation]) -> tuple[InFloat, ...]:
    groups: dict[tuple[str, str], list[Operation]] = {}
    for op in operations:
        if op.computes and not op.is_integer:
            groups.setdefault((op.kind, op.float_because), []).append(op)
    rows = [InFloat(kind, len(group), group[0].name, why) for (kind, why), group in groups.items()]
    return tuple(sorted(rows, key=lambda row: -row.count)[:_MOST_LISTED])


def _verdict(kind: Kind, found: Findings) -> str:
    computing = [op for op in found.operations if op.computes]
    floats = [op for op in computing if not op.is_integer]
    operations = f"{len(computing)} operation{'s' * (len(computing) != 1)}"
    needs = f"; another library computes {', '.join(found.foreign)}" if found.foreign else ""
    if kind == "compiled":
        return "compiled for an Edge TPU, which computes in integers; the compiled operations cannot be read"
    if kind == "float":
        return f"not integer: a float model of {operations}{needs}"
    if kind == "dynamic range":
        hybrid = _counted([op for op in floats if op.hybrid])
        return f"not integer: dynamic range only, {hybrid} compute in float with weights stored in 8 bits{needs}"
    if kind == "partly integer":
        return f"not fully integer: {len(floats)} of {operations} in float ({_counted(floats)}){needs}"
    ends = "" if kind == "fully integer" else f", between a {found.input} input and a {found.output} output"
    return f"fully integer: {operations}{ends}"


def _counted(operations: list[Operation]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in Counter(op.kind for op in operations).most_common()) or "none"
