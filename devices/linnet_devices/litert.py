"""TensorFlow Lite on the CPU: ai-edge-litert, or tflite-runtime where only that is available (old Coral boards).
Internal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import DeviceError, Format, Model, OpenOptions, Placement, Probe
from linnet_devices.chatter import no_chatter
from linnet_devices.session import EngineSession, thread_count

try:
    from ai_edge_litert.interpreter import Delegate, Interpreter, load_delegate

    PACKAGE = "ai-edge-litert"
except ModuleNotFoundError as error:
    try:
        from tflite_runtime.interpreter import Delegate, Interpreter, load_delegate
    except ModuleNotFoundError:
        raise error from None  # the error then names what its fix installs

    PACKAGE = "tflite-runtime"

DELEGATE = "DELEGATE"  # the name of the operation that replaces those that a delegate took, in both packages


class LiteRT:
    """The device ``cpu:litert``."""

    name = "cpu:litert"
    formats: tuple[Format, ...] = ("tflite",)
    isolated = False
    targets: tuple[str, ...] = ()

    def probe(self) -> Probe:
        from importlib.metadata import version

        found = version(PACKAGE)
        if PACKAGE == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            return Probe(
                False,
                f"tflite-runtime {found} was built for NumPy 1 and fails under NumPy {np.__version__}",
                "pip install 'linnet[litert]', or 'numpy<2' where tflite-runtime must stay",
            )
        return Probe(True, details={"engine": f"{PACKAGE} {found}"})

    def open(self, model: Model, options: OpenOptions) -> LiteRTSession:
        return LiteRTSession(self.name, model, options)


class LiteRTSession(EngineSession):
    """A .tflite in an interpreter, with an accelerator's delegate or without."""

    def __init__(self, device: str, model: Model, options: OpenOptions, delegate: Delegate | None = None) -> None:
        delegates = [delegate] if delegate else None
        with _one_line_errors(model, device):
            self._interpreter = Interpreter(
                model_path=model.path, num_threads=thread_count(options), experimental_delegates=delegates
            )
            pixels = self._interpreter.get_input_details()[0]
            if tuple(pixels["shape"]) != model.input.shape and -1 in pixels["shape_signature"]:
                # An open dimension has length 1 until it is set.
                self._interpreter.resize_tensor_input(pixels["index"], model.input.shape, strict=True)
            # The delegate has taken its operations. XNNPACK, which is the CPU too, takes others in allocate_tensors.
            operations = self._interpreter._get_ops_details()
            self._interpreter.allocate_tensors()
        self.placement = _placement(device, operations, delegated=delegate is not None)
        super().__init__(device if self.placement.on_device else LiteRT.name, model)
        self._input_index = pixels["index"]
        self._output_index = self._interpreter.get_output_details()[0]["index"]
        self._said = ""

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            self._interpreter.set_tensor(self._input_index, model_input)
            self._interpreter.invoke()
            output: NDArray[Any] = self._interpreter.get_tensor(self._output_index)
        except (RuntimeError, ValueError) as error:
            before, self._said = self._said, str(error)  # the interpreter appends to its earlier message
            reason = self._said.removeprefix(before)
            raise DeviceError(f"{self.device} running {self.model.path}", got=reason) from error
        return output

    def _release(self) -> None:
        del self._interpreter


def create_delegate(library: str, options: dict[str, str]) -> Delegate:
    """A library's delegate. Raises ValueError with the library's reason, which may be empty."""
    try:
        with no_chatter():
            return load_delegate(library, options)
    except ValueError as error:  # "Failed to load delegate from LIBRARY", a new line and the library's reason
        raise ValueError(str(error).partition("\n")[2].strip()) from error


def operation_names(model: Model) -> list[str]:
    """The names of a model's operations, also of custom ones. Raises DeviceError where the file is not a model."""
    with _one_line_errors(model, LiteRT.name):
        return [operation["op_name"] for operation in Interpreter(model_path=model.path)._get_ops_details()]


@contextlib.contextmanager
def _one_line_errors(model: Model, device: str) -> Iterator[None]:
    """Turns the errors of an interpreter (an unknown operation, an unreadable file) into DeviceError."""
    try:
        with no_chatter():
            yield
    except (RuntimeError, ValueError) as error:
        where = PACKAGE if device == LiteRT.name else f"{PACKAGE} on {device}"
        raise DeviceError(f"{model.path} in {where}", got=str(error), expected="a .tflite that it reads") from error


def _placement(device: str, operations: list[dict[str, Any]], *, delegated: bool) -> Placement:
    own = [operation for operation in operations if operation["op_name"] != DELEGATE]
    if not delegated:
        return Placement(device, len(own), len(own))
    taken = delegated_operations(operations)
    elsewhere = tuple(f"{operation['op_name']}: CPU" for operation in own if operation["index"] not in taken)
    return Placement(device, len(taken), len(own), elsewhere)


def delegated_operations(operations: list[dict[str, Any]]) -> set[int]:
    """The indices of the operations that delegates took.

    ``operations`` is an interpreter's list: all operations of the model, and a DELEGATE for each group of neighbours
    that was taken. The operations of a group are found backwards, from its outputs to its inputs.
    """
    own = [operation for operation in operations if operation["op_name"] != DELEGATE]
    maker = {int(output): operation for operation in own for output in operation["outputs"]}
    taken: set[int] = set()
    for group in (operation for operation in operations if operation["op_name"] == DELEGATE):
        given = set(map(int, group["inputs"]))
        wanted = list(map(int, group["outputs"]))
        while wanted:
            tensor = wanted.pop()
            if tensor in given or tensor not in maker or maker[tensor]["index"] in taken:
                continue
            taken.add(maker[tensor]["index"])
            wanted += map(int, maker[tensor]["inputs"])
    return taken
