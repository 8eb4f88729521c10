"""The page on quantising one's own model: what it shows runs, and what it says of layers is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from program import ROOT

PAGE = ROOT / "docs" / "quantization.md"


def test_the_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "int8.keras").exists()


def test_the_page_names_every_layer() -> None:
    from linnet_train.quantization.check import ACTIVATIONS, LAYERS

    section = PAGE.read_text().partition("## Layers")[2]
    named = set(re.findall(r"\w+", section))
    assert {kind.__name__ for kind in LAYERS} <= named
    assert set(ACTIVATIONS) - {"linear", "hard_silu"} <= named, "hard_silu is hard_swish"
