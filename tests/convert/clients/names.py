"""What the bundle that is exported has: its labels and its model."""

from __future__ import annotations

LABELS = ("red", "3 amp", "blue sky")
MODEL = "model.int8.tflite"
