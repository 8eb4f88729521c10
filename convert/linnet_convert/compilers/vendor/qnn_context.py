"""Compiles an .onnx for Qualcomm's HTP into a context binary, which is embedded in another .onnx.

``python qnn_context.py MODEL ARCHITECTURE OUT`` prints as its last line, in JSON, the number of operators on the HTP,
the operators on the CPU, and the version of Qualcomm's SDK.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import onnxruntime
import onnxruntime_qnn

_SDK = re.compile(rb"v\d+\.\d+\.\d+\.\d+")  # in the model's attribute ep_sdk_version


def main() -> None:
    """Makes the file and prints the result."""
    model, architecture, out = sys.argv[1:]
    name = onnxruntime_qnn.get_ep_name()
    onnxruntime.register_execution_provider_library(name, onnxruntime_qnn.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for key, value in {
        "session.record_ep_graph_assignment_info": "1",
        "ep.context_enable": "1",
        "ep.context_embed_mode": "1",
        "ep.context_file_path": out,
    }.items():
        options.add_session_config_entry(key, value)
    options.add_provider_for_devices(
        devices,
        {
            "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
            "htp_arch": architecture,
            "enable_htp_shared_memory_allocator": "0",
        },
    )
    session = onnxruntime.InferenceSession(model, options)
    mapped, on_cpu = 0, Counter[str]()
    for piece in session.get_provider_graph_assignment_info():
        kinds = [node.op_type for node in piece.get_nodes()]
        if piece.ep_name == name:
            mapped += len(kinds)
        else:
            on_cpu.update(kinds)
    sdk = _SDK.search(Path(out).read_bytes()) if Path(out).exists() else None
    print(json.dumps({"mapped": mapped, "on_cpu": dict(on_cpu), "sdk": sdk[0].decode() if sdk else ""}), flush=True)


if __name__ == "__main__":
    main()
