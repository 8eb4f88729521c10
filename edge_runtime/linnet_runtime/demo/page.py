"""The demo's page: the results of each step, with plots and example frames, in one HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from linnet_runtime import run_files
from linnet_runtime.demo.steps import BENCH, BUNDLE, CLIP, CLIP_LABELS, FRAMES, PHOTOS, RUN, VERIFY, steps_of
from linnet_runtime.pages import png_of, png_uri, render_page, thumbnail_uri
from linnet_runtime.preprocess import read_picture
from linnet_runtime.synthetic.conveyor import EMPTY

PAGE = "index.html"
_EXAMPLES = 8
_PHOTO, _FRAME = (160, 120), (240, 180)  # width and height on the page, in pixels


def write_page(out: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """Writes ``index.html`` about the finished demo in ``out``, and returns the figures at its top.

    ``seconds`` is the time of each step by its name.
    """
    metrics = run_files.load_metrics(out / RUN)
    verified = json.loads((out / VERIFY).read_bytes())["artifacts"]
    bench = json.loads((out / BENCH).read_bytes())
    *results, last = [json.loads(line) for line in (out / FRAMES).read_text().splitlines()]
    truth = json.loads((out / CLIP_LABELS).read_bytes())
    timed = [row for row in bench["results"] if "error" not in row]
    figures = {
        "photos": sum(metrics.splits.values()),
        "classes": len(metrics.classes),
        "float_top1": metrics.float_model.top1,
        "int8_top1": metrics.qat.top1,
        "agreement": min(row["agreement"] for row in verified if "int8" in row["path"]),
        "fastest": min(timed, key=lambda row: row["latency_ms"]["p50"]),
        "frames": len(results),
        "frames_right": float(np.mean([row["label"] == label for row, label in zip(results, truth, strict=True)])),
        "fps": last["summary"]["fps"],
    }
    page = render_page(
        "linnet_runtime.demo",
        figures=figures,
        test_photos=metrics.qat.n,
        verified=verified,
        bench=bench,
        timed=timed,
        seconds=seconds,
        commands=[str(step) for step in steps_of(out)],
        run_page=f"{RUN}/{run_files.REPORT_PAGE}",
        bundle=BUNDLE,
        photos=_example_photos(out / PHOTOS, metrics.classes),
        frames=_example_frames(out / CLIP, results, truth),
        curves=png_uri((out / RUN / run_files.CURVES).read_bytes()),
        confusion=png_uri((out / RUN / run_files.CONFUSION_MATRIX).read_bytes()),
        latency=_draw_latency(timed),
        belt=_draw_belt(results, truth, metrics.classes),
    )
    (out / PAGE).write_text(page)
    return figures


def _example_photos(folder: Path, classes: Sequence[str]) -> list[tuple[str, str]]:
    """(label, picture) of the first photo of each class."""
    files = [(label, min((folder / label).iterdir())) for label in classes]
    return [(label, thumbnail_uri(read_picture(path), *_PHOTO)) for label, path in files]


def _example_frames(clip: Path, results: list[dict[str, Any]], truth: list[str]) -> list[dict[str, Any]]:
    """Frames from the whole clip, each at the middle of a part's way through the picture, with its result."""
    starts = [0, *(i for i in range(1, len(truth)) if truth[i] != truth[i - 1]), len(truth)]
    middles = np.array([(start + end) // 2 for start, end in pairwise(starts) if truth[start] != EMPTY])
    chosen = set(middles[np.linspace(0, len(middles) - 1, min(_EXAMPLES, len(middles))).astype(int)].tolist())
    examples = []
    video = cv2.VideoCapture(str(clip))
    for i in range(max(chosen) + 1):
        _, frame = video.read()
        if i in chosen:
            examples.append({**results[i], "truth": truth[i], "picture": thumbnail_uri(frame, *_FRAME)})
    video.release()
    return examples


def _draw_latency(timed: list[dict[str, Any]]) -> str:
    """Percentiles of each row's latency, as a PNG."""
    figure = Figure(figsize=(8, 0.7 + 0.5 * len(timed)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(reversed(timed)):
        latency = row["latency_ms"]
        axes.plot([latency["min"], latency["p99"]], [y, y], color="#9bb7d4", linewidth=6, solid_capstyle="butt")
        axes.plot([latency["p50"], latency["p90"]], [y, y], color="#2b6ca3", linewidth=12, solid_capstyle="butt")
        axes.plot(latency["p50"], y, "|", color="black", markersize=16)
    axes.set_yticks(range(len(timed)), [row["device"] for row in reversed(timed)])
    axes.set_ylim(-0.6, len(timed) - 0.4)
    axes.set(xlabel="latency in ms: thin bar min to p99, thick bar p50 to p90", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return png_uri(png_of(figure))


def _draw_belt(results: list[dict[str, Any]], truth: list[str], classes: Sequence[str]) -> str:
    """The true and the predicted label of each frame, as a PNG."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots()
    index = {label: i for i, label in enumerate(classes)}
    axes.plot([index[label] for label in truth], color="#c9c9c9", linewidth=7, drawstyle="steps-mid", label="true")
    predicted = np.array([index[row["label"]] for row in results])
    right = predicted == [index[label] for label in truth]
    frames = np.arange(len(predicted))
    axes.plot(frames[right], predicted[right], ".", color="#2b6ca3", markersize=3, label="predicted, correct")
    axes.plot(frames[~right], predicted[~right], ".", color="#c0392b", markersize=4, label="predicted, wrong")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="frame")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=3, frameon=False)
    return png_uri(png_of(figure))
