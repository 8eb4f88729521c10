"""An .onnx in each form that exporters give it comes in, and computes what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bare_engines import runtime
from foreign import SIDE, Network, mobile
from linnet_convert import convert
from linnet_convert.errors import ConversionError
from linnet_convert.facts import OpenSides
from linnet_convert.proof.parity import model_logits
from linnet_convert.readers import onnx as onnx_reader
from linnet_runtime.bundle import open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.probabilities import probabilities

LABELS = ("blue", "green", "red")
PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
NORMALIZED = ((PIXELS.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
SAYS: dict[str, Any] = {"labels": LABELS, "color": "rgb"}


def sigmoids() -> onnx.ModelProto:
    network, scores = mobile()
    return network.model(network.node("Sigmoid", scores))


def test_a_sigmoid_is_its_own_probability(tmp_path: Path) -> None:
    """It was divided by the sum of all: 0.58 where the model says 0.96."""
    onnx.save(sigmoids(), tmp_path / "model.onnx")
    expected = runtime(tmp_path / "model.onnx", NORMALIZED)
    assert not np.allclose(expected.sum(axis=1), 1, atol=0.1)
    convert(tmp_path / "model.onnx", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5, formats=["onnx"])
    with Classifier.open(tmp_path / "x.linnet") as classifier:
        for photo, probability in zip(PIXELS, expected, strict=True):
            found = classifier.classify(photo, color="rgb")
            assert found.independent
            assert found.label == LABELS[int(probability.argmax())]
            assert dict(found.top) == pytest.approx(dict(zip(LABELS, probability.tolist(), strict=True)), abs=1e-5)


def test_a_half_precision_onnx_comes_in(tmp_path: Path) -> None:
    """Weights, input and output in float16, as ONNX Runtime computes them."""
    model = sigmoids()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    expected = runtime(tmp_path / "half.onnx", NORMALIZED.astype(np.float16)).astype(np.float32)
    convert(tmp_path / "half.onnx", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5)
    found = {
        Path(artifact.path).name: probabilities(model_logits(artifact.model(), PIXELS), 1.0, independent=True)
        for artifact in open_bundle(tmp_path / "x.linnet").artifacts
    }
    assert list(found) == ["model.fp32.tflite", "model.fp16.onnx", "fp16.xml"]
    np.testing.assert_allclose(found["model.fp32.tflite"], expected, atol=0.01)
    np.testing.assert_allclose(found["model.fp16.onnx"], expected, atol=1e-3)  # half precision has 11 bits
    np.testing.assert_allclose(found["fp16.xml"], expected, atol=0.01)


@pytest.mark.parametrize(
    ("operator", "attributes", "dtype"),
    [("ArgMax", {"axis": 1}, TensorProto.INT64), ("ReduceMax", {"axes": [1]}, TensorProto.FLOAT)],
)
def test_one_output_for_all_labels_is_refused(
    operator: str, attributes: dict[str, Any], dtype: int, tmp_path: Path
) -> None:
    network, scores = mobile()
    model = network.model(scores)
    model.graph.node.append(helper.make_node(operator, ["scores"], ["best"], **attributes))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("best", dtype, None))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match=r"\[1, 1\].*Fix: a model with an output for each label"):
        onnx_reader.read(tmp_path / "model.onnx", OpenSides())


def test_a_model_that_gives_the_same_for_every_picture_is_refused(tmp_path: Path) -> None:
    """It was proven: 1.0000 of its artifacts' labels agree, whatever the picture."""
    network = Network()
    x = network.node(
        "Mul", network.node("GlobalAveragePool", network.conv("input", 4)), network.constant(np.float32(0))
    )
    onnx.save(network.model(network.dense(network.node("Flatten", x), 4)), tmp_path / "blind.onnx")
    with pytest.raises(ConversionError, match=r"outputs of blind\.onnx: got the same for all of 8 pictures of noise"):
        convert(tmp_path / "blind.onnx", tmp_path / "x.linnet", **SAYS, mean=0, std=1, formats=["onnx"])
    assert not (tmp_path / "x.linnet").exists()


def with_opset(opset: int) -> onnx.ModelProto:
    """A classifier of operators whose form has changed over the opsets: Clip (11), Softmax and Squeeze (13),
    BatchNormalization (14, 15), Reshape (14) and ReduceMean (18).
    """
    n = Network()
    x = n.clip(n.conv("input", 8, stride=2), 0, 6)
    y = n.node("Relu", n.conv(x, 8, group=8))
    x = n.node("Add", x, y)
    axes = n.constant(np.array([2, 3]))
    mean = n.node("ReduceMean", x, axes=[2, 3], keepdims=1) if opset < 18 else n.node("ReduceMean", x, axes, keepdims=1)
    x = n.node("Squeeze", mean, axes=[2, 3]) if opset < 13 else n.node("Squeeze", mean, axes)
    x = n.node("Reshape", x, n.constant(np.array([-1, 8])))
    return n.model(n.node("Softmax", n.dense(x, 8), axis=1), opset=opset)


@pytest.mark.parametrize("opset", range(11, 22))
def test_every_opset_gives_the_labels_of_onnx_runtime(opset: int, tmp_path: Path) -> None:
    """The copy, and what is rebuilt in Keras from its operators."""
    onnx.save(with_opset(opset), tmp_path / "model.onnx")
    expected = runtime(tmp_path / "model.onnx", NORMALIZED)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the pictures must differ"
    convert(tmp_path / "model.onnx", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5, formats=["tflite", "onnx"])
    bundle = open_bundle(tmp_path / "x.linnet")
    assert [artifact.format for artifact in bundle.artifacts] == ["tflite", "onnx"]
    for artifact in bundle.artifacts:
        got = probabilities(model_logits(artifact.model(), PIXELS), bundle.temperature)
        np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=artifact.path)


def test_an_opset_that_onnx_runtime_does_not_know_is_one_line(tmp_path: Path) -> None:
    model = with_opset(21)
    model.opset_import[0].version = 999
    onnx.save(model, tmp_path / "model.onnx")
    line = r"model\.onnx: got opset 999, expected at most \d+, which is .*\. Fix: export the model with an older opset"
    with pytest.raises(ConversionError, match=line):
        convert(tmp_path / "model.onnx", tmp_path / "x.linnet", **SAYS, mean=0, std=1)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_onnx_that_takes_bytes_needs_no_normalization(layout: str, tmp_path: Path) -> None:
    """Its first operators make floats of them; nobody has to state a mean."""
    n = Network()
    x = n.node("Cast", "input" if layout == "NCHW" else n.node("Transpose", "input", perm=[0, 3, 1, 2]), to=1)
    x = n.node("Div", n.node("Sub", x, n.constant(np.float32(127.5))), n.constant(np.float32(127.5)))
    x = n.node("Flatten", n.node("GlobalAveragePool", n.node("Relu", n.conv(x, 8, stride=2))))
    model = n.model(n.node("Softmax", n.dense(x, 8), axis=1), check=False)
    shape = (1, 3, SIDE, SIDE) if layout == "NCHW" else (1, SIDE, SIDE, 3)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", TensorProto.UINT8, shape))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "model.onnx")
    expected = runtime(tmp_path / "model.onnx", PIXELS, layout)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the pictures must differ"
    convert(tmp_path / "model.onnx", tmp_path / "x.linnet", **SAYS)
    for artifact in open_bundle(tmp_path / "x.linnet").artifacts:
        assert (artifact.input.dtype, artifact.input.mean) == ("uint8", None)
        got = probabilities(model_logits(artifact.model(), PIXELS), 1.0)
        np.testing.assert_allclose(got, expected, atol=1e-3, err_msg=artifact.path)
