"""Reads a model file in a separate process, because the libraries that parse one may crash on a damaged file.

``examine`` starts it; as ``python -m linnet_convert.readers.examine KIND PATH SIDES`` it prints the ``Facts`` as JSON,
or an error's parts.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Facts, Kind, OpenSides
from linnet_devices.api import LinnetError
from linnet_devices.chatter import is_chatter, quiet_tensorflow

_WITHIN_S = 300
_MOST_MEMORY_BYTES = 32 << 30  # of address space: TensorFlow itself reserves a few gigabytes
_MOST_SAID = 300
_READERS = {
    "tflite": "linnet_convert.readers.tflite",
    "onnx": "linnet_convert.readers.onnx",
    "openvino": "linnet_convert.readers.openvino",
    "keras": "linnet_convert.readers.keras",
    "saved_model": "linnet_convert.readers.saved_model",
}


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """A LinnetError, in parts."""

    what: str
    """As ``LinnetError.what``."""
    got: str | None
    """As ``LinnetError.got``."""
    expected: str | None
    """As ``LinnetError.expected``."""
    fix: str | None
    """As ``LinnetError.fix``."""


def examine(kind: Kind, path: Path, sides: OpenSides) -> Facts:
    """What a model states about itself, with its open dimensions closed, read and run once in a child process.

    Raises:
        ConversionError: it cannot be read, is no classifier, or its library crashed on it.
    """
    command = [sys.executable, "-P", "-m", __name__, kind, str(path), msgspec.json.encode(sides).decode()]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(str(path), got=f"no answer from its reader in {_WITHIN_S} s") from error
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    try:
        answer = msgspec.json.decode(done.stdout.splitlines()[-1], type=Facts | Refusal)
    except (IndexError, msgspec.DecodeError):
        raise ConversionError(
            str(path), got=f"its reader {_ending(done)}", expected="a complete model", fix="make the file again"
        ) from None
    if isinstance(answer, Refusal):
        raise ConversionError(answer.what, got=answer.got, expected=answer.expected, fix=answer.fix)
    return answer


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"was ended by {signal.Signals(-done.returncode).name}"
    said = [line for line in done.stderr.splitlines() if line.strip() and not is_chatter(line)]
    return f"ended with status {done.returncode}: {said[-1].decode(errors='replace') if said else 'no word'}"


def _answer(kind: str, path: Path, sides: OpenSides) -> Facts | Refusal:
    try:
        facts: Facts = importlib.import_module(_READERS[kind]).read(path, sides)
        return facts
    except LinnetError as error:
        got, expected = (None if part is None else str(part) for part in (error.got, error.expected))
        return Refusal(str(error.what), got, expected, None if error.fix is None else str(error.fix))
    except ModuleNotFoundError:
        raise
    except Exception as error:  # for a damaged file readers raise anything
        said = " ".join(str(error).split())[:_MOST_SAID]
        return Refusal(str(path), f"{type(error).__name__}: {said}", f"a complete {kind} model", None)


def main() -> None:
    """Prints the answer as the last line on standard output."""
    kind, path, sides = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _MOST_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MOST_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    quiet_tensorflow()
    answer = _answer(kind, Path(path), msgspec.json.decode(sides, type=OpenSides))
    sys.stdout.flush()
    print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main()
