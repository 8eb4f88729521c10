"""``model_info``, by which OpenVINO's model_api makes a model of its own of an .onnx or an IR.

https://github.com/open-edge-platform/model_api, docs/model-configuration.md: in an .onnx the ``metadata_props``
"model_info KEY", in an IR ``rt_info``. It then resizes with its own interpolation, so its labels are near ours, not
proven equal.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import onnx

from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import Preprocess

PREFIX = "model_info "
_RESIZE = {"centre": "crop", "stretch": "standard"}


def model_info(artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> dict[str, str]:
    """What model_api asks for. It parts labels by spaces, so those within one become underscores, and it turns the BGR
    of OpenCV's pictures into RGB where ``reverse_input_channels`` says so.
    """
    spec = artifact.input
    return {
        "model_type": "Classification",
        "labels": " ".join("_".join(label.split()) for label in labels),
        "mean_values": _numbers(spec.mean or (0.0, 0.0, 0.0)),
        "scale_values": _numbers(spec.std or (1.0, 1.0, 1.0)),
        "reverse_input_channels": str(spec.color == "rgb"),
        "resize_type": _RESIZE[preprocess.crop],
    }


def write_onnx(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes it into an .onnx."""
    model = onnx.load(path)
    for key, value in model_info(artifact, labels, preprocess).items():
        model.metadata_props.add(key=PREFIX + key, value=value)
    onnx.save(model, path)


def write_openvino(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes it into the .xml of an IR. OpenVINO would have the .bin mapped into memory while it wrote it anew."""
    tree = ElementTree.parse(path)  # noqa: S314  # a file that OpenVINO has just written for us
    network = tree.getroot()
    rt_info = network.find("rt_info")
    if rt_info is None:
        rt_info = ElementTree.SubElement(network, "rt_info")
    for older in rt_info.findall("model_info"):
        rt_info.remove(older)
    entry = ElementTree.SubElement(rt_info, "model_info")
    for key, value in model_info(artifact, labels, preprocess).items():
        ElementTree.SubElement(entry, key, value=value)
    tree.write(path, xml_declaration=True)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(str(value) for value in values)
