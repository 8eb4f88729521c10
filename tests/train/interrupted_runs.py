"""A run as ctrl-C leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from linnet_train.training import checkpoint


def interrupted(tiny_run: Path, run: Path, *, begun: bool) -> Path:
    """A run as ctrl-C leaves it: while it still read photos, or in training."""
    run.mkdir()
    for name in ("config.json", *(["splits.json", "photos.npz"] if begun else [])):
        shutil.copy(tiny_run / name, run)
    if begun:
        (run / "progress.json").write_bytes(msgspec.json.encode(checkpoint.Progress()))
    return run
