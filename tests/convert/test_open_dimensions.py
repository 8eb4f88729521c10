"""Models that leave dimensions open: they are closed by what the user says, and nothing in a bundle is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from bare_engines import lite, runtime
from foreign import CLASSES, SIDE, Network, mobile
from linnet_convert import convert
from linnet_convert.errors import ConversionError
from linnet_convert.facts import OpenSides
from linnet_convert.proof.parity import model_logits
from linnet_convert.readers import onnx as onnx_reader
from linnet_convert.readers.closing import check_closed
from linnet_convert.readers.tflite_closing import close
from linnet_convert.readers.tflite_graph import read_graph
from linnet_runtime.bundle import open_bundle
from linnet_runtime.probabilities import probabilities
from program import Program, one_line_error

PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
FLOATS = PIXELS.astype(np.float32)
SAYS = ("--color", "rgb", "--mean", "0", "--std", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that leave open: all of a picture's sides (size.tflite, all.onnx), or its batch alone (batch.tflite)."""
    folder = tmp_path_factory.mktemp("open")
    (folder / "labels.txt").write_text("blue\ngreen\nred\n")
    rng = np.random.default_rng(0)
    first, second = (rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((3, 3, 3, 8), (8, CLASSES)))

    def network(x: Any) -> Any:
        x = tf.nn.relu(tf.nn.conv2d(x / 64, first, 2, "SAME"))
        rows = tf.reshape(tf.reduce_mean(x, (1, 2)), (tf.shape(x)[0], 8))  # the shape is computed where N is open
        return tf.nn.softmax(rows @ second)

    for name, shape in (
        ("size", (None, None, None, 3)),
        ("batch", (None, SIDE, SIDE, 3)),
        ("fixed", (1, SIDE, SIDE, 3)),
    ):
        function = tf.function(network, input_signature=[tf.TensorSpec(shape)])
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        (folder / f"{name}.tflite").write_bytes(converter.convert())
    graph, scores = mobile()
    onnx.save(every_side_open(graph.model(scores)), folder / "all.onnx")
    onnx.save(graph.model(scores), folder / "fixed.onnx")
    return folder


def every_side_open(model: onnx.ModelProto) -> onnx.ModelProto:
    """As optimum exports for Hugging Face: names in place of all numbers, and the output's classes too."""
    for value, names in ((model.graph.input[0], "NCHW"), (model.graph.output[0], ("N", "classes"))):
        for side, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            side.dim_param = name
    return model


def in_bundle(bundle: Path) -> list[NDArray[np.float32]]:
    """The logits of each of a bundle's models for PIXELS."""
    return [model_logits(artifact.model(), PIXELS) for artifact in open_bundle(bundle).artifacts]


@pytest.mark.parametrize("name", ["size", "batch"])
def test_a_tflite_is_closed_by_the_users_size_and_computes_what_it_did(
    name: str, folder: Path, tmp_path: Path, program: Program
) -> None:
    """It came in as a model of 1x1 pixels, which gave every photo the same label and was proven 1.0000."""
    size = ("--size", SIDE) if name == "size" else ()
    says = ("--labels", folder / "labels.txt", *SAYS, *size)
    program("convert", folder / f"{name}.tflite", "--out", tmp_path / "x.linnet", *says)
    expected = np.log(lite(folder / f"{name}.tflite", FLOATS))
    np.testing.assert_allclose(expected, np.log(lite(folder / "fixed.tflite", FLOATS)), atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01
    for artifact, logits in zip(
        open_bundle(tmp_path / "x.linnet").artifacts, in_bundle(tmp_path / "x.linnet"), strict=True
    ):
        assert artifact.input.shape == (1, SIDE, SIDE, 3)
        np.testing.assert_allclose(logits, expected, atol=1e-5 if artifact.precision == "float32" else 0.05)
    graph = read_graph(tmp_path / "x.linnet" / "model.fp32.tflite")
    assert all(side > 0 for tensor in graph.tensors for side in (*tensor.shape, *tensor.signature)), "nothing is open"


def test_a_tflite_without_open_dimensions_is_copied_as_it_is(folder: Path) -> None:
    assert close(folder / "fixed.tflite", (1, SIDE, SIDE, 3)) is None


def test_an_onnx_with_every_dimension_open_is_closed_by_layout_and_size(
    folder: Path, tmp_path: Path, program: Program
) -> None:
    says = ("--labels", folder / "labels.txt", *SAYS, "--layout", "NCHW", "--size", SIDE, "--formats", "onnx,openvino")
    program("convert", folder / "all.onnx", "--out", tmp_path / "x.linnet", *says)
    expected = runtime(folder / "all.onnx", FLOATS)
    np.testing.assert_allclose(expected, runtime(folder / "fixed.onnx", FLOATS), rtol=1e-5)
    exact, halved = in_bundle(tmp_path / "x.linnet")
    np.testing.assert_allclose(exact, expected, rtol=1e-5)
    np.testing.assert_allclose(halved, expected, rtol=0.02, atol=0.1)
    graph = onnx.load(tmp_path / "x.linnet" / "model.fp32.onnx").graph
    sides = [side.dim_value for value in (*graph.input, *graph.output) for side in value.type.tensor_type.shape.dim]
    assert sides == [1, 3, SIDE, SIDE, 1, CLASSES]
    model = openvino.Core().read_model(tmp_path / "x.linnet" / "openvino" / "fp16.xml")
    assert not model.is_dynamic()


def test_an_ir_with_every_side_open_is_closed_by_layout_and_size(
    folder: Path, tmp_path: Path, program: Program
) -> None:
    model = openvino.convert_model(folder / "fixed.onnx")
    model.reshape([-1, -1, -1, -1])
    openvino.save_model(model, tmp_path / "open.xml", compress_to_fp16=False)
    says = ("--labels", folder / "labels.txt", *SAYS, "--layout", "NCHW")
    done = program("convert", tmp_path / "open.xml", "--out", tmp_path / "x.linnet", *says, status=1)
    assert one_line_error(done).endswith("got no size in the file. Fix: --size PIXELS")
    program("convert", tmp_path / "open.xml", "--out", tmp_path / "x.linnet", *says, "--size", SIDE)
    (logits,) = in_bundle(tmp_path / "x.linnet")
    np.testing.assert_allclose(logits, runtime(folder / "fixed.onnx", FLOATS), rtol=1e-3, atol=1e-3)


class _Network(tf.Module):
    """Weights in variables, as a SavedModel has them."""

    def __init__(self, shape: tuple[int | None, ...]) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.second = (
            tf.Variable(rng.normal(0, spread, shape).astype(np.float32))
            for spread, shape in ((0.1, (3, 3, 3, 8)), (2, (8, CLASSES)))
        )
        self.function = tf.function(self.call, input_signature=[tf.TensorSpec(shape)])

    def call(self, x: Any) -> dict[str, Any]:
        x = tf.nn.relu(tf.nn.conv2d(x / 64, self.first, 2, "SAME"))
        rows = tf.reshape(tf.reduce_mean(x, (1, 2)), (tf.shape(x)[0], 8))
        return {"scores": tf.nn.softmax(rows @ self.second)}


@pytest.mark.parametrize(
    ("shape", "states", "fix"),
    [
        ((None, None, None, 3), ("--size", SIDE), "--size PIXELS"),
        ((None, SIDE, SIDE, 3), (), None),
        ((None, None, None, None), ("--size", SIDE, "--layout", "NHWC"), "--layout NHWC|NCHW --size PIXELS"),
    ],
)
def test_a_saved_model_is_closed_by_layout_and_size(
    shape: tuple[int | None, ...], states: tuple[Any, ...], fix: str | None, tmp_path: Path, program: Program
) -> None:
    network = _Network(shape)
    tf.saved_model.save(network, str(tmp_path / "saved"), signatures=network.function.get_concrete_function())
    (tmp_path / "labels.txt").write_text("blue\ngreen\nred\n")
    command = ("convert", tmp_path / "saved", "--out", tmp_path / "x.linnet", "--labels", tmp_path / "labels.txt")
    if fix is not None:
        assert one_line_error(program(*command, *SAYS, status=1)).endswith(f" in the file. Fix: {fix}")
    program(*command, *SAYS, *states)
    expected = np.log(network.call(FLOATS)["scores"].numpy())
    assert np.ptp(expected, axis=0).max() > 0.5
    bundle = open_bundle(tmp_path / "x.linnet")
    assert [artifact.format for artifact in bundle.artifacts] == ["tflite", "onnx", "openvino"]
    for artifact, logits in zip(bundle.artifacts, in_bundle(tmp_path / "x.linnet"), strict=True):
        assert artifact.input.shape == (1, SIDE, SIDE, 3)
        np.testing.assert_allclose(np.log(probabilities(logits, 1.0)), expected, atol=0.05)


def test_a_fixed_batch_of_several_pictures_is_refused_with_a_fix(tmp_path: Path) -> None:
    network = _Network((8, SIDE, SIDE, 3))
    tf.saved_model.save(network, str(tmp_path / "saved"), signatures=network.function.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    graph, scores = mobile()
    onnx.save(graph.model(scores, batch=8), tmp_path / "model.onnx")
    line = r"got a batch of 8 pictures, expected one picture at a time\. Fix: export the model with a batch of 1"
    for name in ("saved", "model.tflite", "model.onnx"):
        with pytest.raises(ConversionError, match=rf"{name}: {line}"):
            convert(tmp_path / name, tmp_path / "x.linnet", labels=("blue", "green", "red"), color="rgb", mean=0, std=1)


@pytest.mark.parametrize(
    ("model", "flags", "fix"),
    [
        ("size.tflite", (), "--size PIXELS"),
        ("all.onnx", (), "--layout NHWC|NCHW --size PIXELS"),
        ("all.onnx", ("--layout", "NCHW"), "--size PIXELS"),
        ("all.onnx", ("--size", SIDE), "--layout NHWC|NCHW"),
    ],
)
def test_what_is_open_and_not_said_is_one_line_with_the_flags(
    model: str, flags: tuple[Any, ...], fix: str, folder: Path, tmp_path: Path, program: Program
) -> None:
    says = ("--labels", folder / "labels.txt", *SAYS, *flags)
    done = program("convert", folder / model, "--out", tmp_path / "x.linnet", *says, status=1)
    assert one_line_error(done).endswith(f" in the file. Fix: {fix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side", [None, CLASSES])
def test_an_output_of_pictures_of_one_place_is_a_row_of_classes(side: int | None, tmp_path: Path) -> None:
    """[1, C, 1, 1], as a classifier without its last Flatten has it; with its sides open and without."""
    network = Network()
    x = network.node("GlobalAveragePool", network.conv("input", CLASSES))
    model = network.model(network.node("Flatten", x))
    del model.graph.node[-2:]  # the Flatten, and the Identity behind it
    output = onnx.helper.make_tensor_value_info(
        x, onnx.TensorProto.FLOAT, [1, side, 1, 1] if side else ["N", "C", "H", "W"]
    )
    model.graph.output[0].CopyFrom(output)
    onnx.save(model, tmp_path / "place.onnx")
    facts = onnx_reader.read(tmp_path / "place.onnx", OpenSides())
    assert facts.output.shape == (1, CLASSES)
    closed = onnx_reader.close(onnx_reader.load(tmp_path / "place.onnx"), (1, 3, SIDE, SIDE))
    picture = PIXELS[:1].transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(
        onnx_reader.run(closed, picture), runtime(tmp_path / "place.onnx", FLOATS)[:1].reshape(1, -1), rtol=1e-5
    )


def test_a_size_that_a_model_cannot_take_is_refused(tmp_path: Path) -> None:
    """Its dense layer fixes the size that its input leaves open."""
    network = Network()
    x = network.node("Flatten", network.conv("input", 2))
    model = every_side_open(network.model(network.dense(x, 2 * SIDE * SIDE)))
    onnx.save(model, tmp_path / "dense.onnx")
    assert onnx_reader.read(tmp_path / "dense.onnx", OpenSides(size=SIDE, layout="NCHW")).output.shape == (1, CLASSES)
    with pytest.raises(Exception, match="Gemm"):
        onnx_reader.read(tmp_path / "dense.onnx", OpenSides(size=SIDE + 8, layout="NCHW"))


def test_a_closed_model_that_computes_something_else_is_refused() -> None:
    outputs = np.array([[0.2, 0.7, 0.1]], np.float32)
    check_closed("model.tflite", outputs, outputs + np.float32(1e-5))
    with pytest.raises(ConversionError, match=r"model\.tflite: got other outputs once its dimensions are closed"):
        check_closed("model.tflite", outputs, outputs + np.float32(0.01))
