"""The steps of the demo: it renders photos and a clip, and then runs ordinary ``linnet`` commands on them."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linnet_runtime.files.folders import write_whole
from linnet_runtime.synthetic.conveyor import write_clip
from linnet_runtime.synthetic.photos import CLASSES, write_photos

PHOTOS, CLIP, CLIP_LABELS = "photos", "belt.avi", "belt.json"
RUN, BUNDLE = "run", "parts.linnet"
VERIFY, BENCH, FRAMES = "verify.json", "bench.json", "frames.jsonl"

_PHOTOS_PER_CLASS = 300
_CLIP_SECONDS = 30.0
_SEED = 0
_CLIP_SEED = 7
# The camera sees the belt from above, so a part may lie any way round. Without pretrained weights, small pictures train
# fastest.
_TRAINING = (
    "--augment overhead --weights none --size 64 --batch-size 64 --learning-rate 1e-2 --epochs 28 --qat-epochs 3"
)


@dataclass(frozen=True)
class Step:
    """A ``linnet`` command."""

    arguments: tuple[str, ...]
    output: Path | None = None
    """The file for its standard output; None for the terminal."""

    @property
    def name(self) -> str:
        return self.arguments[0]

    def __str__(self) -> str:
        into = f" > {shlex.quote(str(self.output))}" if self.output else ""
        return "linnet " + shlex.join(self.arguments) + into


def steps_of(out: Path) -> list[Step]:
    """The commands of a demo in the directory ``out``, in order."""
    run, bundle = str(out / RUN), str(out / BUNDLE)
    return [
        Step(("train", str(out / PHOTOS), "--out", run, *_TRAINING.split())),
        Step(("convert", run, "--out", bundle)),
        Step(("verify", bundle, "--data", run, "--json"), out / VERIFY),
        Step(("bench", bundle, "--data", run, "--quick", "--json"), out / BENCH),
        Step(("run", bundle, "--source", str(out / CLIP)), out / FRAMES),
    ]


def render(out: Path, on_photo: Callable[[int, int], None]) -> None:
    """Writes the photos, and a clip of a conveyor belt with the label of each of its frames.

    ``on_photo`` is called with (photos written, photos in total).
    """
    total = len(CLASSES) * _PHOTOS_PER_CLASS
    for done, _ in enumerate(write_photos(out / PHOTOS, _PHOTOS_PER_CLASS, _SEED), start=1):
        on_photo(done, total)
    labels = write_clip(out / CLIP, _CLIP_SEED, _CLIP_SECONDS)
    write_whole(out / CLIP_LABELS, json.dumps(labels).encode())


def run_steps(out: Path, run: Callable[[tuple[str, ...]], None], announce: Callable[[Step], None]) -> dict[str, float]:
    """Runs the steps one after the other, and returns the seconds of each by its name.

    Args:
        out: the demo's directory.
        run: runs ``linnet`` with these arguments, and raises when it fails.
        announce: is called with each step before it runs.
    """
    seconds = {}
    for step in steps_of(out):
        announce(step)
        started = time.monotonic()
        if step.output is None:
            run(step.arguments)
        else:
            with step.output.open("w") as output, contextlib.redirect_stdout(output):
                run(step.arguments)
        seconds[step.name] = time.monotonic() - started
    return seconds
