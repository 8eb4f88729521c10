"""pycoral's classification adapter (pycoral/adapters/classify.py): scores are scale * (output - zero point)."""

from __future__ import annotations

from pathlib import Path

from linnet_convert.clients.api import MODEL
from linnet_convert.clients.scores import write_scoring_model
from linnet_runtime.bundle import Bundle

LABELS = "labels.txt"


class PyCoral:
    """The model compiled for the Edge TPU where the bundle has one, its softmax then on the CPU; and the labels.

    Each line of the labels starts with its index: pycoral would take the number in front of "3 amp" for one.
    """

    name = "pycoral"
    usage = f'classify.get_classes(interpreter) of {MODEL}; the labels: read_label_file("{LABELS}")'

    def write(self, bundle: Bundle, folder: Path) -> None:
        write_scoring_model(bundle, folder / MODEL, compiled=True)
        lines = (f"{index} {label}\n" for index, label in enumerate(bundle.labels))
        (folder / LABELS).write_text("".join(lines), encoding="utf-8")
