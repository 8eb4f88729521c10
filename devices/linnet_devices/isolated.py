"""A session in a child process: an accelerator's library may hang or abort there, and the program continues.
Internal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Pipe
from typing import Any

import msgspec
from numpy.typing import NDArray

from linnet_devices.api import DeviceError, Model, OpenOptions, TensorSpec
from linnet_devices.chatter import IN_CHILD, is_chatter
from linnet_devices.errors import DeviceCrashed, DeviceHung
from linnet_devices.isolated_child import DONE, RUN, Failed, Opened, Opening, map_memory
from linnet_devices.session import EngineSession, InputAdapter, OutputAdapter

OPEN_S = 60.0
RUN_S = 5.0
_END_S = 2.0  # the time for a child to release its device before it is killed
_KILL_S = 0.1
_STOP_CHECK_S = 0.1
_PIPE_BYTES = 1 << 16
_KEPT_BYTES = 4096


class IsolatedSession(EngineSession):
    """A session on any device of the registry, in a separate process; see ``linnet_devices.api.Session``.

    Pixels and logits pass through anonymous shared memory, which is freed with the processes. The child process ends
    whenever this process ends, and ignores ctrl-C. After DeviceCrashed or DeviceHung the child has ended, and every
    further call fails: close the session and open another.
    """

    def __init__(
        self,
        device: str,
        model: Model,
        options: OpenOptions,
        *,
        open_s: float = OPEN_S,
        run_s: float = RUN_S,
        stop: threading.Event | None = None,
    ) -> None:
        """Starts the child process, which probes the device and opens the model.

        Args:
            device: its name in the registry.
            model: the model to open.
            options: passed to the device's ``open``.
            open_s: the most seconds for opening, and for the first inference, with which engines finish loading.
            run_s: the most seconds for each further inference.
            stop: setting it ends the opening and the first inference early, with a DeviceError.

        Raises:
            DeviceUnavailable: the device is not available.
            DeviceCrashed: the child ended; the error has the signal and the last line that it printed.
            DeviceHung: it did not answer in time and was killed.
            DeviceError: it could not open the model, or runs less of it than ``options`` ask for.
        """
        self._process: _Process | None = None
        super().__init__(device, model)
        try:
            self._process = process = _Process(device, model)
            opening = msgspec.json.encode(Opening(device, model, options))
            answer = msgspec.json.decode(process.ask(opening, open_s, stop), type=Opened | Failed)
            if isinstance(answer, Failed):
                raise answer.error()
        except BaseException as error:
            self._open = False
            self._end(0)
            if isinstance(error, OSError):
                raise DeviceError(f"device {device}", got=f"no process could be started: {error}") from error
            raise
        self.device, self.placement = answer.device, answer.placement
        self._deadline_s, self._run_s, self._stop = open_s, run_s, stop
        # The child's session adapts to the model's TensorSpecs; between the processes there is one signature.
        self._to_input = InputAdapter(_spec("uint8", "NHWC", process.pixels.shape))
        self._to_logits = OutputAdapter(_spec("float32", "NC", process.logits.shape))

    @property
    def pid(self) -> int | None:
        """The child's process id; None when it has ended."""
        return self._process.pid if self._process else None

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        process = self._process
        if process is None:
            raise DeviceError(f"session on {self.device}", got="run() after it failed", expected="another session")
        process.pixels[:] = model_input
        try:
            answer = process.ask(RUN, self._deadline_s, self._stop)
        except BaseException:  # ctrl-C too: a late answer must not be taken for that of the next picture
            self._end(0)
            raise
        self._deadline_s, self._stop = self._run_s, None
        if answer != DONE:
            raise msgspec.json.decode(answer, type=Failed).error()
        return process.logits.copy()

    def _release(self) -> None:
        self._end(_END_S)

    def _end(self, within_s: float) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(within_s)


def in_child() -> bool:
    """Whether this process is the child of an ``IsolatedSession``, where an engine may abort."""
    return IN_CHILD in os.environ


def _spec(dtype: Any, layout: Any, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name="shared memory", shape=shape, dtype=dtype, layout=layout)


class _Process:
    """The child process, the channel to it and the shared memory: ``pixels`` and ``logits``."""

    def __init__(self, device: str, model: Model) -> None:
        """Raises OSError where the system provides no memory or no process."""
        self._device = device
        self._printed = b""
        self._control, control = Pipe()
        self._output, output = Pipe(duplex=False)
        life, self._life = Pipe(duplex=False)
        memory = os.memfd_create("linnet")
        fds = (control.fileno(), memory, life.fileno())
        # -P: a file in the working directory must not be imported in place of a module.
        command = [sys.executable, "-P", "-m", "linnet_devices.isolated_child", *map(str, fds)]
        try:
            self.pixels, self.logits = map_memory(memory, model)
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output.fileno(),
                stderr=output.fileno(),
                pass_fds=fds,
                env=os.environ | {IN_CHILD: "1", "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,  # the program handles ctrl-C
            )
        finally:
            os.close(memory)
            for childs in (control, output, life):
                childs.close()
        os.set_blocking(self._output.fileno(), False)
        self._poll = select.poll()
        for end in (self._control, self._output):
            self._poll.register(end.fileno(), select.POLLIN)

    @property
    def pid(self) -> int:
        return self._child.pid

    def ask(self, message: bytes, within_s: float, stop: threading.Event | None = None) -> bytes:
        """Sends a message and returns the answer.

        Raises:
            DeviceCrashed: the child has ended.
            DeviceHung: there was no answer in time; the child still runs.
            DeviceError: ``stop`` was set.
        """
        end = time.monotonic() + within_s
        try:
            self._control.send_bytes(message)
            while not self._answered(min(end, time.monotonic() + _STOP_CHECK_S) if stop else end):
                if stop is not None and stop.is_set():
                    raise DeviceError(f"device {self._device}", got="stopped")
                if time.monotonic() >= end:
                    raise DeviceHung(f"device {self._device}", got=f"no answer in {within_s:g} s{self._last_words()}")
            return self._control.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._crashed() from error

    def _answered(self, until: float) -> bool:
        """Waits for an answer, and reads what the child prints: a full pipe would stop it."""
        ready = {fd for fd, _ in self._poll.poll(max(0.0, until - time.monotonic()) * 1e3)}
        if self._output.fileno() in ready and not self._take_output():
            self._poll.unregister(self._output)
        return self._control.fileno() in ready

    def end(self, within_s: float) -> None:
        """Lets the child close its session and end, and kills it where that takes longer than ``within_s``."""
        self._control.close()
        self._reap(within_s)
        if self._child.returncode is None:
            self._child.kill()
            self._reap(_KILL_S)
            if self._child.returncode is None:  # stuck in a driver, or the machine is busy
                threading.Thread(target=self._child.wait, name="reaper", daemon=True).start()
        self._life.close()
        self._output.close()

    def _reap(self, within_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(within_s)

    def _crashed(self) -> DeviceCrashed:
        self._reap(_END_S)  # on a busy machine its end comes some time after that of its channel
        self._take_output()
        status = self._child.returncode
        if status is None:
            how = "closed its channel"
        elif status >= 0:
            how = f"ended with status {status}"
        else:
            how = f"was ended by {_signal_name(-status)}"
        return DeviceCrashed(f"device {self._device}", got=f"its process {how}{self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for line in self._printed.splitlines() if line.strip() and not is_chatter(line)]
        return f", after printing: {lines[-1].decode(errors='replace').strip()}" if lines else ""

    def _take_output(self) -> bool:
        """Reads what the child has printed; False at the end of its output."""
        try:
            data = os.read(self._output.fileno(), _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._printed = (self._printed + data)[-_KEPT_BYTES:]
        return bool(data)


def _signal_name(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")
