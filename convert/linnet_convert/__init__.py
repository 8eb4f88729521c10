"""Conversion: a trained model to a bundle, every format from one quantized graph, with proof.

    from linnet_convert import convert, verify

Importing this package imports neither TensorFlow nor an engine: each name is loaded when it is first used. The names
below and, for authors of compilers, ``linnet_convert.testing`` are the public interface. The other modules are
internal, and say so.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import linnet_devices  # noqa: F401  # sets ONNX Runtime's environment before that is imported

if TYPE_CHECKING:
    from linnet_convert.api import convert, verify
    from linnet_convert.conversion import Conversion
    from linnet_convert.statements import Statements

__all__ = ["Conversion", "Statements", "convert", "verify"]
_HOMES = {"Conversion": "conversion", "Statements": "statements", "convert": "api", "verify": "api"}

# OpenVINO's converter reports each conversion to its maker, from forked processes that may hang when the program ends.
# Without this package it reports nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"linnet_convert.{_HOMES[name]}"), name)
