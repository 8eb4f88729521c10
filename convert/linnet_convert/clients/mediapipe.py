"""MediaPipe Tasks' ImageClassifier: scores are the outputs, dequantized; labels and size are in the file's metadata."""

from __future__ import annotations

from pathlib import Path

from linnet_convert.clients.api import MODEL
from linnet_convert.clients.scores import write_scoring_model
from linnet_runtime.bundle import Bundle


class MediaPipe:
    """One file with everything in it."""

    name = "mediapipe"
    usage = f'vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path="{MODEL}"))'

    def write(self, bundle: Bundle, folder: Path) -> None:
        write_scoring_model(bundle, folder / MODEL)
