"""``model_info``, by which OpenVINO's model_api uses an .onnx or an IR.

An .onnx has it in ``metadata_props`` as "model_info KEY", an IR in ``rt_info``
(https://github.com/open-edge-platform/model_api, docs/model-configuration.md). model_api resizes with its own
interpolation, so its labels are close to Linnet's, but not proven equal.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import onnx

from linnet_convert.facts import IDENTITY, Metadata, Triple, triple
from linnet_runtime.bundle import Artifact
from linnet_runtime.preprocess import BORDER, Preprocess

PREFIX = "model_info "
KEYS = (
    "labels",
    "mean_values",
    "scale_values",
    "reverse_input_channels",
    "resize_type",
    "pad_value",
    "embedded_processing",
    "model_type",
)
_RESIZE = {"centre": "crop", "stretch": "standard", "pad": "fit_to_window_letterbox"}
_CROP = {resize: crop for crop, resize in _RESIZE.items()}
_TRUE = {"true", "yes", "1"}


def read_model_info(info: dict[str, str]) -> Metadata:
    """The metadata in ``model_info``, given as its values by key."""
    if not info.keys() & set(KEYS):
        return Metadata()
    mean, std = _read_numbers(info.get("mean_values")), _read_numbers(info.get("scale_values"))
    if info.get("embedded_processing", "").lower() in _TRUE:
        mean, std = IDENTITY  # the graph normalizes
    elif mean is not None or std is not None:
        mean, std = mean or IDENTITY[0], std or IDENTITY[1]
    # Spaces separate the labels. An underscore stays: it may stand for a space, or be the label's own.
    labels = tuple(info.get("labels", "").split())
    return Metadata(
        labels=labels or None,
        mean=mean,
        std=std,
        # model_api reads pictures as BGR, so a model for which it reverses them wants RGB; others may want either.
        color="rgb" if info.get("reverse_input_channels", "").lower() in _TRUE else None,
        crop=_CROP.get(info.get("resize_type", "")),  # type: ignore[arg-type]  # of _RESIZE
    )


def model_info(artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> dict[str, str]:
    """The values by key. model_api separates labels by spaces, so a space within a label becomes an underscore. It
    reads pictures as BGR, and turns them into RGB where ``reverse_input_channels`` is True.
    """
    spec = artifact.input
    return {
        "model_type": "Classification",
        "labels": " ".join("_".join(label.split()) for label in labels),
        "mean_values": _numbers(spec.mean or (0.0, 0.0, 0.0)),
        "scale_values": _numbers(spec.std or (1.0, 1.0, 1.0)),
        "reverse_input_channels": str(spec.color == "rgb"),
        "resize_type": _RESIZE[preprocess.crop],
    } | ({"pad_value": str(BORDER)} if preprocess.crop == "pad" else {})


def write_onnx(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes ``model_info`` into an .onnx."""
    model = onnx.load(path)
    for key, value in model_info(artifact, labels, preprocess).items():
        model.metadata_props.add(key=PREFIX + key, value=value)
    onnx.save(model, path)


def write_openvino(path: Path, artifact: Artifact, labels: tuple[str, ...], preprocess: Preprocess) -> None:
    """Writes ``model_info`` into the .xml of an IR, without OpenVINO: it would map the .bin into memory and write it
    again at the same time.
    """
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


def _read_numbers(text: str | None) -> Triple | None:
    return triple([float(number) for number in (text or "").replace(",", " ").split()])


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(str(value) for value in values)
