"""Mutations of every file of a bundle, each with its hash renewed in the manifest, and ``linnet`` run on the result.

``python -m edge_runtime.fuzz BUNDLE SEED COUNT`` prints a line of JSON for each mutation that ended badly, and then a
summary. A run ends well within the deadline and the memory, with exit status 0 or 1, at most three lines on standard
error, no traceback, and results that are JSON with probabilities of 0 to 1.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE_S = 120
MEMORY_BYTES = 2 << 30  # of data: engines reserve more of the address space than they use
MOST_LINES = 3
ENGINES = {".tflite": "cpu:litert", ".onnx": "cpu:onnx", ".xml": "cpu:openvino", ".bin": "cpu:openvino"}
ODD_VALUES: list[Any] = [
    *(None, True, 0, -1, 1e-45, 1e39, 1e308, 2**31, 2**63, 2**64, -(2**63), 10**400),
    *("", "\0", "../x", "/etc/passwd", "\x1b[2J", "\ud800", "x" * 100_000, "int8", "NaN"),
    *([], {}, [[]], [0] * 10_000, {"a": {}}, [1, -1, 10**12, 3]),
]


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, removed, inserted or moved, or all of the end gone."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        place = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 1, 4, 16, 256))
        match rng.randrange(6):
            case 0:
                changed[place : place + 1] = rng.randbytes(1)
            case 1:
                changed[place : place + length] = rng.choice((b"\0", b"\xff")) * length
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = rng.randbytes(length)
            case 4:
                other = rng.randrange(len(changed) + 1)
                changed[place : place + length] = changed[other : other + length]
            case 5 if rng.random() < 0.2:
                del changed[place:]
    return bytes(changed)


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """A value replaced, removed or nested, or a mutation of the bytes."""
    kind = rng.random()
    if kind < 0.3:
        return mutate_bytes(data, rng)
    if kind < 0.35:
        depth = rng.choice((1_000, 100_000))
        return data.replace(b'"labels"', b'"x":' + b"[" * depth + b"]" * depth + b',"labels"', 1)
    manifest = json.loads(data)
    for _ in range(rng.choice((1, 1, 2))):
        where: Any = manifest
        while True:
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(where[key], dict | list) and rng.random() < 0.8:
                where = where[key]
            elif rng.random() < 0.2:
                del where[key]
                break
            else:
                where[key] = rng.choice(ODD_VALUES)
                break
    return json.dumps(manifest).encode(errors="surrogatepass")


def renew_hash(bundle: Path, name: str) -> None:
    """Writes a file's size and hash into the manifest, as somebody who means harm would."""
    data = (bundle / name).read_bytes()
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    entries = [*manifest["artifacts"], *(artifact.get("weights") for artifact in manifest["artifacts"])]
    for entry in (*entries, manifest["canary"], manifest["reference"]):
        if entry and entry["path"] == name:
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def run_child(arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """Runs ``linnet`` in a fork with limits: (status, or minus the signal's number; standard output and error)."""
    streams = [folder / "stdout", folder / "stderr"]
    child = os.fork()
    if child == 0:
        status = 70
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for number, path in enumerate(streams, start=1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            status = importlib.import_module("linnet_runtime.cli").main(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + DEADLINE_S
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGALRM, "", "no end within the deadline"
        time.sleep(0.002)
    output, errors = (path.read_text(errors="replace") for path in streams)
    return os.waitstatus_to_exitcode(done[1]), output, errors


def fault(status: int, output: str, errors: str) -> str | None:
    """What is wrong with the end of a run; None where nothing is."""
    lines = [line for line in errors.splitlines() if line.strip()]
    if "Traceback" in errors:
        return "traceback"
    if status not in (0, 1):
        return f"status {status}"
    if len(lines) > MOST_LINES:
        return f"{len(lines)} lines"
    if status == 1 and not any(line.startswith("error: ") for line in lines):
        return "no line that says why"
    try:
        results = [json.loads(line) for line in output.splitlines()]
    except ValueError:
        return "results that are not JSON"
    probabilities = [result["probability"] for result in results if "probability" in result]
    if not all(isinstance(probability, float) and 0 <= probability <= 1 for probability in probabilities):
        return f"probabilities {probabilities}"
    return None


def mutations(bundle: Path, rng: random.Random) -> Callable[[Path], tuple[str, list[str]]]:
    """Gives a function that spoils a copy of the bundle: the file that it changed, and the command to run then."""
    picture = bundle.parent / "picture.png"

    def spoil(copy: Path) -> tuple[str, list[str]]:
        names = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
        names = [name for name in names if not name.startswith("report/")]
        name = rng.choice([*names, "bundle.json", "bundle.json", "canary.npz", "reference.npz"])
        path = copy / name
        data = path.read_bytes()
        path.unlink()  # the copy is made of links
        if name == "bundle.json":
            path.write_bytes(mutate_json(data, rng))
        else:
            path.write_bytes(mutate_bytes(data, rng))
            renew_hash(copy, name)
        device = ENGINES.get(path.suffix) or rng.choice(("fake", "fake", "cpu:litert"))
        if rng.random() < 0.3:
            precision = "int8" if "int8" in name else "float"
            return name, ["classify", str(copy), str(picture), "--device", device, "--precision", precision]
        return name, ["verify", str(copy), "--device", device, "--threads", "1", "--json"]

    return spoil


def link_or_copy(source: str, target: str) -> None:
    if source.endswith("bundle.json"):  # which is written to
        shutil.copyfile(source, target)
    else:
        os.link(source, target)


def main(bundle: Path, seed: int, count: int) -> None:
    import cv2
    import numpy as np

    for module in ("ai_edge_litert.interpreter", "onnxruntime", "openvino", "linnet_runtime.commands.verify"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original = shutil.copytree(bundle, folder / "original.linnet")
        cv2.imwrite(str(folder / "picture.png"), np.full((64, 64, 3), 90, np.uint8))
        counts: Counter[str] = Counter()
        statuses: Counter[str] = Counter()
        for number in range(count):
            rng = random.Random(f"{seed}-{number}")  # noqa: S311  # it is to be repeatable
            copy = shutil.copytree(original, folder / "copy.linnet", copy_function=link_or_copy)
            changed, arguments = mutations(original, rng)(copy)
            status, output, errors = run_child(arguments, folder)
            counts[Path(changed).suffix] += 1
            statuses[str(status)] += 1
            if found := fault(status, output, errors):
                report = {"number": number, "file": changed, "command": arguments[0], "fault": found}
                print(json.dumps(report | {"stderr": re.sub(name, "", errors)[-1500:]}), flush=True)
                if keep := os.environ.get("LINNET_FUZZ_KEEP"):
                    shutil.copytree(copy, Path(keep) / f"{seed}-{number}.linnet", dirs_exist_ok=True)
            shutil.rmtree(copy)
        print(json.dumps({"summary": {"mutations": count, "files": counts, "statuses": statuses}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
