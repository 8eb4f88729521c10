"""Pixels into whatever input a model has, and its output into logits: what TensorSpec says is what is done."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_devices.api import MOST_THREADS, DeviceError, LinnetError, OpenOptions, Placement, TensorSpec
from linnet_devices.session import InputAdapter, OutputAdapter, thread_count

# Every pixel value in every channel, each channel in another order.
PIXELS = np.stack([np.roll(np.arange(256, dtype=np.uint8), shift) for shift in (0, 85, 170)], axis=-1)[None].reshape(
    1, 8, 32, 3
)
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def input_spec(**changes: Any) -> TensorSpec:
    layout = changes.get("layout", "NHWC")
    shape = (1, 8, 32, 3) if layout == "NHWC" else (1, 3, 8, 32)
    return TensorSpec(**({"name": "input", "shape": shape, "dtype": "float32", "layout": layout} | changes))


def output_spec(**changes: Any) -> TensorSpec:
    defaults = {"name": "output", "shape": (1, 3), "dtype": "float32", "layout": "NC", "values": "logits"}
    return TensorSpec(**(defaults | changes))


def normalized(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return (pixels - np.array(IMAGENET["mean"])) / np.array(IMAGENET["std"])


# Input

INPUTS = [
    ("the pixels in uint8", {"dtype": "uint8"}, lambda p: p),
    ("Linnet's own", {"dtype": "uint8", "scale": 1 / 128, "zero_point": 128}, lambda p: p),
    ("the pixels in float", {}, lambda p: p),
    ("the pixels in half precision", {"dtype": "float16"}, lambda p: p),
    ("-1 to 1 in half precision", {"dtype": "float16", "mean": (128,) * 3, "std": (128,) * 3}, lambda p: p / 128 - 1),
    ("the pixels in int8", {"dtype": "int8", "scale": 1.0, "zero_point": -128}, lambda p: p - 128),
    ("-1 to 1 in float", {"mean": (127.5,) * 3, "std": (127.5,) * 3}, lambda p: (p - 127.5) / 127.5),
    ("a mean and a std for each channel", IMAGENET, normalized),
    (
        "normalized, then quantized to int8",
        IMAGENET | {"dtype": "int8", "scale": 0.0187, "zero_point": -14},
        lambda p: np.clip(np.rint(normalized(p) / 0.0187) - 14, -128, 127),
    ),
    (
        "normalized, then quantized to uint8, with values beyond both ends",
        IMAGENET | {"dtype": "uint8", "scale": 0.01, "zero_point": 128},
        lambda p: np.clip(np.rint(normalized(p) / 0.01) + 128, 0, 255),
    ),
    (
        "normalized so that the quantized value is the pixel",
        {"dtype": "uint8", "mean": (128.0,) * 3, "std": (128.0,) * 3, "scale": 1 / 128, "zero_point": 128},
        lambda p: p,
    ),
]


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize(("changes", "value"), [row[1:] for row in INPUTS], ids=[row[0] for row in INPUTS])
def test_an_input_is_what_its_formula_says(changes: dict[str, Any], value: Any, color: str, layout: str) -> None:
    """Channels are put in the model's order first: its mean and std are in that order too."""
    spec = input_spec(**changes, color=color, layout=layout)
    expected = value((PIXELS if color == "rgb" else PIXELS[..., ::-1]).astype(np.float64)).astype(spec.dtype)
    expected = expected if layout == "NHWC" else expected.transpose(0, 3, 1, 2)
    model_input = InputAdapter(spec)(PIXELS)
    np.testing.assert_array_equal(model_input, expected)
    assert model_input.dtype == spec.dtype
    assert model_input.flags.c_contiguous  # an engine reads the memory as it lies


def test_linnets_own_input_is_not_even_copied() -> None:
    """On the way that every Linnet model takes, no arithmetic is done on pixels."""
    adapter = InputAdapter(input_spec(dtype="uint8", scale=1 / 128, zero_point=128))
    assert np.shares_memory(adapter(PIXELS), PIXELS)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_pixels_of_another_size_are_refused_with_the_size_wanted(layout: str) -> None:
    with pytest.raises(LinnetError) as error:
        InputAdapter(input_spec(layout=layout)).check(PIXELS.reshape(1, 32, 8, 3))
    assert str(error.value).startswith("pixels: got uint8 [1, 32, 8, 3], expected uint8 [N, 8, 32, 3]. Fix: ")


# Output


def test_float_logits_stay_as_they_are() -> None:
    logits = np.array([[-3.5, 0.0, 7.25]], np.float32)
    np.testing.assert_array_equal(OutputAdapter(output_spec())(logits), logits)


@pytest.mark.parametrize(
    ("dtype", "zero_point", "raw"),
    [("uint8", 95, [0, 95, 255]), ("int8", -33, [-128, -33, 127])],  # the ends and zero
)
def test_quantized_logits_become_real(dtype: str, zero_point: int, raw: list[int]) -> None:
    adapter = OutputAdapter(output_spec(dtype=dtype, scale=0.0625, zero_point=zero_point))
    logits = adapter(np.array([raw], dtype))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, [[-95 * 0.0625, 0.0, 160 * 0.0625]])


@pytest.mark.parametrize(
    ("changes", "raw"),
    [
        ({}, np.array([[0.7, 0.2, 0.1]], np.float32)),
        ({"dtype": "uint8", "scale": 1 / 256, "zero_point": 0}, np.array([[200, 46, 10]], np.uint8)),
        ({"dtype": "int8", "scale": 1 / 256, "zero_point": -128}, np.array([[72, -82, -118]], np.int8)),
    ],
    ids=["float32", "uint8", "int8"],
)
def test_the_softmax_of_logits_gives_a_models_probabilities_back(changes: dict[str, Any], raw: NDArray[Any]) -> None:
    logits = OutputAdapter(output_spec(values="probabilities", **changes))(raw).astype(np.float64)
    real = (raw - float(changes.get("zero_point", 0))) * changes.get("scale", 1.0)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), real / real.sum(), atol=1e-6)


def test_a_probability_of_zero_has_a_finite_logit_below_all_others() -> None:
    logits = OutputAdapter(output_spec(values="probabilities"))(np.array([[1.0, 0.0, 1e-6]], np.float32))
    assert np.isfinite(logits).all()
    assert logits.argmin() == 1


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 3, 1, 1), (3,)])
def test_an_output_with_other_axes_is_a_row_of_logits(shape: tuple[int, ...]) -> None:
    """A network that ends in a pooling or a 1x1 convolution leaves axes of length 1."""
    spec = output_spec(shape=shape)
    assert spec.classes == 3
    logits = OutputAdapter(spec)(np.array([1, 2, 3], np.float32).reshape(shape))
    np.testing.assert_array_equal(logits, [[1, 2, 3]])


def test_an_output_in_half_precision_becomes_float32() -> None:
    logits = OutputAdapter(output_spec(dtype="float16"))(np.array([[0.5, -2, 7]], np.float16))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, [[0.5, -2, 7]])


@pytest.mark.parametrize(
    ("changes", "raw"),
    [
        ({}, np.array([[0.9626, 0.5, 0.0003]], np.float32)),
        ({"dtype": "uint8", "scale": 1 / 256, "zero_point": 0}, np.array([[246, 128, 1]], np.uint8)),
    ],
    ids=["float32", "uint8"],
)
def test_the_sigmoid_of_logits_gives_independent_probabilities_back(changes: dict[str, Any], raw: NDArray[Any]) -> None:
    """Each is its own: their sum is not 1."""
    logits = OutputAdapter(output_spec(values="independent_probabilities", **changes))(raw).astype(np.float64)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), raw * changes.get("scale", 1.0), rtol=1e-5)


def test_independent_probabilities_of_zero_and_one_have_finite_logits_at_the_ends() -> None:
    spec = output_spec(values="independent_probabilities")
    logits = OutputAdapter(spec)(np.array([[1.0, 0.0, 0.5]], np.float32))
    assert np.isfinite(logits).all()
    assert logits[0].argsort().tolist() == [1, 2, 0]


@pytest.mark.parametrize("raw", [np.zeros((1, 4), np.float32), np.zeros((1, 3), np.uint8)], ids=["shape", "dtype"])
def test_an_output_that_is_not_as_its_spec_says_is_an_error(raw: NDArray[Any]) -> None:
    with pytest.raises(DeviceError) as error:
        OutputAdapter(output_spec())(raw)
    got, expected = f"{raw.dtype} {list(raw.shape)}", "float32 [1, 3], as its TensorSpec says"
    assert str(error.value) == f"output output of the model: got {got}, expected {expected}"


# TensorSpec, Placement, OpenOptions


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mean": (1, 1, 1)}, "mean and std come together or not at all"),
        ({"std": (1, 1, 1)}, "mean and std come together or not at all"),
        ({"dtype": "uint8", "scale": 0.5}, "scale and zero_point come together or not at all"),
        ({"dtype": "uint8", "zero_point": 3}, "scale and zero_point come together or not at all"),
        ({"dtype": "int8", **IMAGENET}, "int8 with mean and std needs scale and zero_point"),
        ({"dtype": "uint8", "scale": 0, "zero_point": 3}, "scale and std are 1e-30 to 1e+30"),
        ({"mean": (1, 1, 1), "std": (1, 0, 1)}, "scale and std are 1e-30 to 1e+30"),
        ({"dtype": "uint8", "scale": float("inf"), "zero_point": 3}, "scale and std are 1e-30 to 1e+30"),
        ({"dtype": "uint8", "scale": float("nan"), "zero_point": 3}, "scale and std are 1e-30 to 1e+30"),
        ({"dtype": "uint8", "scale": 1e-45, "zero_point": 3}, "scale and std are 1e-30 to 1e+30"),
        ({"dtype": "uint8", "scale": 0.5, "zero_point": 256}, "zero_point is a value of int8 or uint8"),
        ({"mean": (1, float("nan"), 1), "std": (1, 1, 1)}, "mean is at most 1e+30"),
    ],
)
def test_an_entry_that_says_half_is_refused_where_it_stands(changes: dict[str, Any], reason: str) -> None:
    """A number that would go unused is an error with its JSON path, not a model that is fed wrongly."""
    entry = {"name": "input", "shape": [1, 8, 32, 3], "dtype": "float32", "layout": "NHWC"} | changes
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert([entry], list[TensorSpec])
    assert str(error.value) == f"{reason} - at `$[0]`"


def test_a_placements_share_is_of_all_operations() -> None:
    assert Placement("coral", 30, 40, ("ADD: cpu",) * 10).share == 0.75
    assert Placement("coral", 0, 0).share == 0.0


@pytest.mark.parametrize("threads", [0, -2, MOST_THREADS + 1])
def test_a_number_of_threads_that_no_engine_takes_is_refused(threads: int) -> None:
    with pytest.raises(LinnetError) as error:
        OpenOptions(threads=threads)
    assert str(error.value) == f"threads: got {threads}, expected 1 to {MOST_THREADS}. Fix: threads=1"


def test_an_engine_gets_the_threads_that_were_asked_for() -> None:
    assert thread_count(OpenOptions(threads=7)) == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity on this system")
def test_an_engine_gets_no_more_threads_than_it_has_cores() -> None:
    """A container or taskset that leaves one core gets one thread; many cores give four at most."""

    def on_one_core() -> int:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of this thread alone
        return thread_count(OpenOptions())

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(on_one_core).result() == 1
    assert thread_count(OpenOptions()) == min(4, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_an_error_and_never_a_label(value: float) -> None:
    spec = TensorSpec(name="logits", shape=(1, 3), dtype="float32", layout="NC", values="logits")
    with pytest.raises(DeviceError, match="numbers that are not finite"):
        OutputAdapter(spec)(np.array([[0.0, value, 1.0]], dtype=np.float32))
