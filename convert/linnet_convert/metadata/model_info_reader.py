"""What an ONNX file or an IR says for its readers, in the terms of OpenVINO's model_api: ``model_info``.

https://github.com/open-edge-platform/model_api, docs/model-configuration.md: in ``rt_info`` of an IR, and in the
``metadata_props`` of an ONNX file under "model_info KEY".
"""

from __future__ import annotations

from linnet_convert.facts import IDENTITY, Metadata, Triple, triple

KEYS = (
    "labels",
    "mean_values",
    "scale_values",
    "reverse_input_channels",
    "resize_type",
    "embedded_processing",
    "model_type",
)
_TRUE = {"true", "yes", "1"}


def read_model_info(info: dict[str, str]) -> Metadata:
    """The metadata of the values of ``model_info`` by their keys."""
    if not info.keys() & set(KEYS):
        return Metadata()
    mean, std = _numbers(info.get("mean_values")), _numbers(info.get("scale_values"))
    if info.get("embedded_processing", "").lower() in _TRUE:
        mean, std = IDENTITY  # its graph normalises
    elif mean is not None or std is not None:
        mean, std = mean or IDENTITY[0], std or IDENTITY[1]
    # Spaces part the labels. An underscore may have been one, or be the label's own, as a class folder's often is.
    labels = tuple(info.get("labels", "").split())
    return Metadata(
        labels=labels or None,
        mean=mean,
        std=std,
        # It gives pictures in BGR, so a model for which it turns them wants RGB; of others nothing is known.
        color="rgb" if info.get("reverse_input_channels", "").lower() in _TRUE else None,
        crop={"crop": "centre", "standard": "stretch"}.get(info.get("resize_type", "")),  # type: ignore[arg-type]
    )


def _numbers(text: str | None) -> Triple | None:
    return triple([float(number) for number in (text or "").replace(",", " ").split()])
