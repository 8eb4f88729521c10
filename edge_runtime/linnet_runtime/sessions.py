"""Opens a bundle's artifact on a device. It decides which artifact a device reads, which device of a group is used, and
in which process it runs. Internal.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from functools import partial
from typing import Literal

from linnet_devices.api import Device, DeviceUnavailable, Model, OpenOptions, Session, Setting
from linnet_devices.isolated import OPEN_S, RUN_S, IsolatedSession
from linnet_devices.registry import expand, load_device
from linnet_devices.session import check_placement
from linnet_runtime.bundle import Artifact, Bundle, BundleError, compiled_from
from linnet_runtime.bundle_files import check_artifact

logger = logging.getLogger("linnet")

PrecisionChoice = Literal["int8", "float"]


def choose_precision(bundle: Bundle, wanted: PrecisionChoice | None) -> PrecisionChoice:
    """The precision to run: the wanted one; without a wish int8 where the bundle has it, else float. Whoever runs float
    unasked warns with ``warn_of_float`` once a model has run: the line of an error comes first.

    Raises:
        BundleError: the bundle has no model in the wanted precision.
    """
    held: set[PrecisionChoice] = {"int8" if artifact.is_int8 else "float" for artifact in bundle.artifacts}
    if wanted is None:
        return "int8" if "int8" in held else "float"
    if wanted not in held:
        other = "float" if wanted == "int8" else "int8"
        raise BundleError(
            bundle.name, got=f"only {other} models", expected=f"one in {wanted}", fix=Setting("precision", other)
        )
    return wanted


def warn_of_float(bundle: Bundle) -> None:
    """Warns that a float model runs, and that nobody asked for it."""
    logger.warning("%s has no int8 model: its float model runs", bundle.name)


def open_session(bundle: Bundle, device_name: str, *, precision: PrecisionChoice, options: OpenOptions) -> Session:
    """Opens the artifact of that precision on the first device of ``device_name`` that is available and reads it.

    Raises:
        DeviceUnavailable: there is none; the error has the reason of each.
        DeviceError: the device could not open the artifact, or its process ended.
        BundleError: the artifact's file is damaged.
    """
    reasons = []
    for name in expand(device_name):
        try:
            device = load_device(name)
            artifact = find_artifact(bundle, device, precision)
            check_artifact(artifact)
            return open_model(device, artifact.model(), options)
        except DeviceUnavailable as error:
            reasons.append(error)
    raise DeviceUnavailable(Setting("device", device_name), reasons=reasons)


def is_isolated(name: str) -> bool:
    """Whether the device runs in a separate process; False where it cannot be loaded. Raises DeviceError where no
    device has that name.
    """
    isolated = False
    for device in expand(name):
        with contextlib.suppress(DeviceUnavailable):
            isolated |= load_device(device).isolated
    return isolated


def open_model(
    device: Device,
    model: Model,
    options: OpenOptions,
    *,
    open_s: float = OPEN_S,
    run_s: float = RUN_S,
    stop: threading.Event | None = None,
) -> Session:
    """Opens a model on a device, where it is isolated in a separate process; the keywords are those of
    ``IsolatedSession``.

    Raises:
        DeviceUnavailable: the device is not available.
        DeviceError: it could not open the model, runs less of it than ``options`` require, or its process ended.
    """
    if device.isolated:
        return IsolatedSession(device.name, model, options, open_s=open_s, run_s=run_s, stop=stop)
    probe = device.probe()
    if not probe.available:
        raise DeviceUnavailable(f"{device.name}: {probe.reason}", fix=probe.fix)
    return check_placement(device.open(model, options), options)


def find_artifact(bundle: Bundle, device: Device, precision: PrecisionChoice) -> Artifact:
    """The artifact of that precision that was compiled for the first of the device's targets, else the one in the first
    of its formats. A stale one, which was compiled from another model, is left out with a warning.

    Raises:
        DeviceUnavailable: there is none; the error names what the bundle has in its place.
    """
    wanted = [artifact for artifact in bundle.artifacts if artifact.is_int8 == (precision == "int8")]
    readable = [artifact for artifact in wanted if reads(device, artifact)]
    stale = [line for artifact in readable if (line := why_stale(bundle, artifact))]
    readable = [artifact for artifact in readable if not why_stale(bundle, artifact)]
    if not readable:
        kinds = " or ".join([*device.formats, *(f"a model compiled for {target}" for target in device.targets)])
        held = ", ".join(sorted({artifact.compiled_for for artifact in wanted if artifact.compiled_for}))
        others = f"; its compiled models are for {held}" if held and device.targets else ""
        none = f"{device.name} reads {kinds} and the bundle has none in {precision}{others}"
        fix = f"linnet compile {bundle.name}.linnet --target {device.targets[0]}" if device.targets else None
        raise DeviceUnavailable("; ".join(stale) or none, fix=fix)
    for line in stale:
        logger.warning("%s", line)
    return min(readable, key=partial(_preference, device))


def reads(device: Device, artifact: Artifact) -> bool:
    """Whether a device reads an artifact: one in its formats, or one that was compiled for it."""
    if artifact.compiled_for is not None:
        return artifact.compiled_for in device.targets
    return artifact.format in device.formats


def why_stale(bundle: Bundle, artifact: Artifact) -> str:
    """Why a compiled artifact is not the bundle's model; empty where it is, or was not compiled."""
    if not artifact.compiled or compiled_from(bundle, artifact) is not None:
        return ""
    return f"{artifact.path} was compiled from another model than the bundle has: it is stale"


def _preference(device: Device, artifact: Artifact) -> tuple[bool, int]:
    if artifact.compiled_for is not None:
        return False, device.targets.index(artifact.compiled_for)
    return True, list(device.formats).index(artifact.format)  # type: ignore[arg-type]  # it is one of them


def cpu_engine(model_format: str) -> str:
    """The CPU engine that reads a format: the reference device of its models."""
    return {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}[model_format]
