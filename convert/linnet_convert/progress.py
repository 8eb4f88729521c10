"""How a long job reports its steps. Internal."""

from __future__ import annotations

from collections.abc import Callable

OnStep = Callable[[str], None]
"""Called with a few words for people about the step that starts: ``on_step("ONNX, int8")``."""


def silent(_step: str) -> None:
    """An ``OnStep`` that shows nothing."""
