"""The first label of a fresh process: ``linnet classify`` on one photo, on LiteRT and on what ``auto`` finds, against a
bare script with LiteRT and OpenCV.

    python benchmarks/cold_start.py BUNDLE PHOTO

Seconds from the start of the process to its end, and its peak resident memory, with the files in the page cache.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median

from common import Row, arguments, median_ratio, report

BARE_SCRIPT = """
import sys
import cv2
from ai_edge_litert.interpreter import Interpreter
model, photo = sys.argv[1:]
interpreter = Interpreter(model_path=model)
interpreter.allocate_tensors()
pixels, logits = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
_, height, width, _ = pixels["shape"]
picture = cv2.cvtColor(cv2.resize(cv2.imread(photo), (width, height)), cv2.COLOR_BGR2RGB)
interpreter.set_tensor(pixels["index"], picture[None])
interpreter.invoke()
print(interpreter.get_tensor(logits["index"]).argmax())
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=15, help="processes of each, in turn")
    args = parser.parse_args()
    python = sys.executable
    classify = [str(Path(python).with_name("linnet")), "classify", str(args.bundle), str(args.photo), "--device"]
    commands = {
        "bare script": [python, "-c", BARE_SCRIPT, str(int8_tflite(args.bundle)), str(args.photo)],
        "linnet classify": [*classify, "cpu:litert"],
        "linnet classify, auto": [*classify, "auto"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    mebibytes: dict[str, list[float]] = {name: [] for name in commands}
    for measured in (False, *[True] * args.runs):  # the first fills the page cache
        for name, command in commands.items():
            process_seconds, process_mebibytes = run(command)
            if measured:
                seconds[name].append(process_seconds)
                mebibytes[name].append(process_mebibytes)
    rows: list[Row] = [
        {
            "process": name,
            "seconds": median(seconds[name]),
            "peak MiB": median(mebibytes[name]),
            "times the bare": median_ratio(seconds[name], seconds["bare script"]),
        }
        for name in commands
    ]
    report({"One photo from a cold start, LiteRT": rows}, args.out)


def int8_tflite(bundle: Path) -> Path:
    """Read without the runtime, which would make this process, and with it its children's figures, large."""
    artifacts = json.loads((bundle / "bundle.json").read_bytes())["artifacts"]
    return bundle / next(a["path"] for a in artifacts if (a["format"], a["precision"]) == ("tflite", "int8"))


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of a process."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    started = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ, file_actions=quiet), 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"error: {command[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
