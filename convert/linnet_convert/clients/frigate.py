"""Frigate's custom classification (frigate/data_processing/real_time/custom_classification.py).

It resizes each crop to 224 x 224 RGB pixels whatever the model's input is, hands them over as uint8, and takes the raw
outputs divided by their sum for scores.
"""

from __future__ import annotations

from pathlib import Path

from linnet_convert.clients.api import MODEL
from linnet_convert.clients.scores import write_scoring_model
from linnet_runtime.bundle import Bundle

LABELS = "labelmap.txt"
_SIDE = 224


class Frigate:
    """Two files, by the names that Frigate looks for. A model of another size resizes Frigate's photos itself."""

    name = "frigate"
    usage = f"copy {MODEL} and {LABELS} into Frigate's model_cache/NAME, and name it under classification: custom:"

    def write(self, bundle: Bundle, folder: Path) -> None:
        write_scoring_model(bundle, folder / MODEL, side=_SIDE)
        (folder / LABELS).write_text("".join(f"{label}\n" for label in bundle.labels), encoding="utf-8")
