"""A bundle's artifact on a device: which of the artifacts a device gets, and which device of a group is here."""

from __future__ import annotations

from typing import Literal

from linnet_devices.api import Artifact, Device, DeviceUnavailable, OpenOptions, Session
from linnet_devices.registry import expand, load_device
from linnet_devices.session import check_placement
from linnet_runtime.bundle import Bundle, check_artifact

PrecisionChoice = Literal["int8", "float"]


def open_session(bundle: Bundle, device_name: str, *, precision: PrecisionChoice, options: OpenOptions) -> Session:
    """Opens the artifact of that precision on the first device of ``device_name`` that is here and reads it."""
    reasons = []
    for name in expand(device_name):
        try:
            device = load_device(name)
            artifact = find_artifact(bundle, device, precision)
        except DeviceUnavailable as error:
            reasons.append(str(error))
            continue
        probe = device.probe()
        if not probe.available:
            reasons.append(f"{name}: {probe.reason}. Fix: {probe.fix}")
            continue
        check_artifact(artifact)
        return check_placement(device.open(artifact, options), options)
    raise DeviceUnavailable(f"--device {device_name} for {bundle.name}", got="; ".join(reasons))


def find_artifact(bundle: Bundle, device: Device, precision: PrecisionChoice) -> Artifact:
    """The artifact of that precision in the first of the device's formats; the one compiled for the device, if the
    bundle has it. Raises DeviceUnavailable where there is none.
    """
    own = getattr(device, "compiled_for", None)
    readable = [
        artifact
        for artifact in bundle.artifacts
        if artifact.format in device.formats
        and artifact.is_int8 == (precision == "int8")
        and artifact.compiled_for in (None, own)
    ]
    if not readable:
        formats = " or ".join(device.formats)
        raise DeviceUnavailable(f"{device.name} reads {formats} and the bundle has none in {precision}")
    return min(readable, key=lambda artifact: (artifact.compiled_for != own, device.formats.index(artifact.format)))


def artifact_device(artifact: Artifact) -> str:
    """The CPU engine that reads an artifact: its reference device."""
    return {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}[artifact.format]
