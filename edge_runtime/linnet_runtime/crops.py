"""The ways of fitting a picture into a model's input. Recipes name them too, and are read without OpenCV. Internal."""

from __future__ import annotations

from typing import Literal, get_args

Crop = Literal["centre", "stretch", "pad"]
CROPS: tuple[Crop, ...] = get_args(Crop)
"""See ``Preprocess.crop``."""
