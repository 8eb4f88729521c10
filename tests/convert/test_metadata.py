"""What our artifacts say to other people's programs, read back by the places of the public schemas."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import flatbuffers
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from linnet_convert.metadata.write import write_metadata
from linnet_convert.writers.artifacts import describe_artifact
from linnet_devices.testing.samples import load_models
from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import Preprocess

LABELS = ("empty belt", "Schraube", "螺母")


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Artifact]:
    """The conformance suite's models, by file name, in a folder that may be written to."""
    found = {}
    for model in load_models():
        for file in filter(None, (model.path, model.weights)):
            shutil.copy(file, tmp_path)
        copy, weights = tmp_path / Path(model.path).name, model.weights and tmp_path / Path(model.weights).name
        ends = (model.input, model.output)
        found[copy.name] = describe_artifact(
            tmp_path, copy, model.format, model.precision, ends, weights=weights or None
        )
    return found


def written(artifacts: dict[str, Artifact], name: str, root: Path, crop: str = "centre") -> tuple[Path, Artifact]:
    spec = Preprocess(height=24, width=32, crop=crop)  # type: ignore[arg-type]
    return root / name, write_metadata(root, artifacts[name], LABELS, spec)


class Reader:
    """A table of metadata_schema.fbs by its fields' places."""

    def __init__(self, buffer: bytearray, place: int) -> None:
        self.table = Table(buffer, place)

    def slot(self, field: int) -> int:
        return int(self.table.Offset(4 + 2 * field))

    def text(self, field: int) -> str:
        return bytes(self.table.String(self.slot(field) + self.table.Pos)).decode()

    def number(self, field: int, flags: type = number_types.Int8Flags) -> int:
        return int(self.table.Get(flags, self.slot(field) + self.table.Pos))

    def child(self, field: int) -> Reader:
        return Reader(self.table.Bytes, self.table.Indirect(self.slot(field) + self.table.Pos))

    def children(self, field: int) -> list[Reader]:
        start, count = self.table.Vector(self.slot(field)), self.table.VectorLen(self.slot(field))
        return [Reader(self.table.Bytes, self.table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, field: int) -> list[float]:
        return list(self.table.GetVectorAsNumpy(number_types.Float32Flags, self.slot(field)))


def model_metadata(path: Path) -> Reader:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (entry,) = (entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    buffer = bytearray(bytes(model.buffers[entry.buffer].data))
    assert buffer[4:8] == b"M001"
    return Reader(buffer, flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0))


@pytest.mark.parametrize(
    ("name", "mean", "std"), [("model.int8.tflite", 128.0, 128.0), ("model.fp32.tflite", 0.0, 1.0)]
)
def test_a_tflite_says_its_labels_colours_size_and_normalization(
    name: str, mean: float, std: float, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    path, _ = written(artifacts, name, tmp_path)
    (subgraph,) = model_metadata(path).children(3)
    (pixels,), (logits,) = subgraph.children(2), subgraph.children(3)
    content = pixels.child(3)
    assert content.number(0) == 2  # ImageProperties
    assert content.child(1).number(0) == 1  # RGB
    size = content.child(1).child(1)
    assert (size.number(0, number_types.Uint32Flags), size.number(1, number_types.Uint32Flags)) == (32, 24)
    (unit,) = pixels.children(4)
    assert unit.number(0) == 1  # NormalizationOptions
    assert (unit.child(1).floats(0), unit.child(1).floats(1)) == ([mean] * 3, [std] * 3)
    (file,) = logits.children(6)
    assert (file.text(0), file.number(2)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
        assert entry.compress_type == zipfile.ZIP_STORED
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)


@pytest.mark.parametrize(
    ("crop", "resize"), [("centre", "crop"), ("stretch", "standard"), ("pad", "fit_to_window_letterbox")]
)
def test_onnx_and_ir_say_it_as_model_api_asks(
    crop: str, resize: str, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    expected = {
        "model_type": "Classification",
        "labels": "empty_belt Schraube 螺母",
        "mean_values": "0.0 0.0 0.0",
        "scale_values": "1.0 1.0 1.0",
        "reverse_input_channels": "True",
        "resize_type": resize,
    } | ({"pad_value": "128"} if crop == "pad" else {})
    for name in artifacts:
        if name.endswith(".onnx"):
            path, _ = written(artifacts, name, tmp_path, crop)
            props = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
            assert {f"model_info {key}": value for key, value in expected.items()}.items() <= props.items()
        elif name.endswith(".xml"):
            path, _ = written(artifacts, name, tmp_path, crop)
            info = ElementTree.parse(path).getroot().find("rt_info/model_info")  # noqa: S314  # we wrote it
            assert info is not None
            assert {entry.tag: entry.get("value") for entry in info} == expected


def test_the_entry_is_that_of_the_file_as_it_is_now(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    for name in artifacts:
        path, entry = written(artifacts, name, tmp_path)
        assert entry.bytes == path.stat().st_size
        assert entry.sha256 != artifacts[name].sha256


def test_constants_stay_aligned(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    """Where the schema says that they are: kernels may load sixteen bytes at once."""
    path, _ = written(artifacts, "model.int8.tflite", tmp_path)
    data = path.read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    places = [
        model.Buffers(i)._tab.Vector(model.Buffers(i)._tab.Offset(4))
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength()
    ]
    assert places
    assert {place % 16 for place in places} == {0}
