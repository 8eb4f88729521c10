"""What an integer report says, whatever the format: which operations compute in integers, and whether all do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from linnet_convert.errors import ConversionError
from linnet_devices.presets import EDGETPU_OP
from linnet_runtime.bundle import Artifact

Kind = Literal["fully integer", "integer inside", "partly integer", "dynamic range", "float", "compiled"]
INTEGERS = frozenset({"int4", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool"})
# They compute nothing, so that it says nothing where they are in float, as behind the last dequantisation.
_MOVES = frozenset(
    {
        *("FLATTEN", "RESHAPE", "TRANSPOSE", "SQUEEZE", "UNSQUEEZE", "IDENTITY", "EXPANDDIMS", "EXPAND_DIMS"),
        *("REORDER", "REORDERINPUT", "REORDEROUTPUT"),
    }
)
_MOST_LISTED = 40  # of the operations in float, on a page that people read


@dataclass(frozen=True)
class Operation:
    """An operation as its engine runs it: ``dtype`` is that of what it computes.

    ``converts``: it only quantises, dequantises or casts what another computes. ``float_because`` says why one is in
    float. ``hybrid``: its stored weights are integers and what it computes with them is not.
    """

    kind: str
    name: str
    dtype: str
    converts: bool = False
    hybrid: bool = False
    float_because: str = ""

    @property
    def is_integer(self) -> bool:
        return self.dtype in INTEGERS

    @property
    def computes(self) -> bool:
        """Whether it makes new values, or moves integers."""
        return not self.converts and (self.is_integer or self.kind.upper() not in _MOVES)


@dataclass(frozen=True)
class InFloat:
    """Operations of one kind that are in float for one reason, and the first of their names."""

    kind: str
    count: int
    first: str
    why: str


@dataclass(frozen=True)
class Pieces:
    """The graph under an accelerating library: in how many pieces it takes it, and what it leaves out, by kind. A piece
    more is an interruption more: "fully integer" is not yet fast.
    """

    library: str
    count: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class IntegerReport:
    """What one artifact computes in. ``path`` is relative to the bundle; ``engine`` read it.

    ``operations`` counts by kind and then by data type. ``conversions`` are the quantise and dequantise operations that
    are left, ``quantize`` and ``dequantize``. ``weights`` counts the quantised weights "per channel" and "per tensor".
    ``foreign`` are operations that only another library computes: Select-TF's (Flex), an Edge TPU's. ``verdict`` is the
    whole in words.
    """

    path: str
    engine: str
    input: str
    output: str
    kind: Kind
    verdict: str
    operations: dict[str, dict[str, int]]
    in_float: tuple[InFloat, ...]
    conversions: dict[str, int]
    weights: dict[str, int]
    foreign: tuple[str, ...] = ()
    pieces: Pieces | None = None


@dataclass
class Findings:
    """What a format's reader gathers. ``input`` and ``output`` are data types."""

    engine: str
    input: str
    output: str
    operations: list[Operation]
    conversions: dict[str, int]
    weights: dict[str, int]
    foreign: tuple[str, ...] = ()
    pieces: Pieces | None = None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = field(default=((), ()))


def summarise(path: str, found: Findings) -> IntegerReport:
    """The report of what was found in the file ``path``."""
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
    """Raises ConversionError for an artifact that is called int8 and whose weights alone are integers."""
    if artifact.is_int8 and report.kind in ("dynamic range", "float"):
        raise ConversionError(
            f"{artifact.path}, which is said to be int8",
            got=report.verdict,
            expected="activations in integers too",
            fix="quantise it with calibration photos, or call it float",
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
        return "compiled for an Edge TPU, which computes in integers; what it computes cannot be read"
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
