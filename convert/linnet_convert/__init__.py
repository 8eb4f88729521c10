"""Conversion: a run to a bundle, every format from one quantised graph, with proof."""

import sys

# OpenVINO's converter would tell its maker of every conversion, from forked processes that may hang when the program
# ends; without this package it keeps silent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
