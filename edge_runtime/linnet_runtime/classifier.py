"""A bundle that is open on a device: pictures in, labels out."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Artifact, DeviceUnavailable, Logits, OpenOptions, Pixels, Session
from linnet_devices.registry import expand, load_device
from linnet_runtime.bundle import Bundle, check_artifact, open_bundle
from linnet_runtime.decision import probabilities, top_classes
from linnet_runtime.preprocess import Color, preprocess

PrecisionChoice = Literal["int8", "float"]


@dataclass(frozen=True)
class Classification:
    """What a picture shows, and what said so."""

    label: str
    probability: float
    """0..1, of ``label``: the softmax of the logits over the bundle's temperature."""
    top: tuple[tuple[str, float], ...]
    """The best five (label, probability), best first."""
    logits: Logits
    """float32 [classes], in the order of the bundle's labels."""
    device: str
    artifact: str
    """The model file's name."""
    stages_ms: dict[str, float]
    """Milliseconds in each of preprocess, inference and decision."""


class Classifier:
    """An open bundle. Close it, or use it as a context manager. Not for two threads at once."""

    def __init__(self, bundle: Bundle, session: Session) -> None:
        self.bundle = bundle
        self.session = session
        self._artifact_name = Path(session.artifact.path).name
        self._open = True

    @classmethod
    def open(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        precision: PrecisionChoice = "int8",
        threads: int | None = None,
    ) -> Self:
        """Opens a bundle on the first device of ``device`` that is here and reads one of its artifacts.

        Raises:
            BundleError: the bundle is damaged.
            DeviceError: an unknown device, or one that cannot read the artifact.
            DeviceUnavailable: none of the devices is here; the line says why for each.
        """
        bundle = open_bundle(Path(path))
        return cls(bundle, open_session(bundle, device, precision=precision, options=OpenOptions(threads)))

    def classify(self, picture: NDArray[np.uint8], *, color: Color) -> Classification:
        """A decoded picture, uint8 [H, W, 3] (or [H, W] with ``color="gray"``), to what it shows.

        Raises LinnetError on another dtype or shape, DeviceError when the device fails.
        """
        started = time.perf_counter()
        pixels = preprocess(picture, self.bundle.preprocess, color=color)
        preprocessed = time.perf_counter()
        logits = self.session.run(pixels[None])[0]
        inferred = time.perf_counter()
        top = top_classes(probabilities(logits, self.bundle.temperature), self.bundle.labels)
        decided = time.perf_counter()
        return Classification(
            label=top[0][0],
            probability=top[0][1],
            top=top,
            logits=logits,
            device=self.session.device,
            artifact=self._artifact_name,
            stages_ms={
                "preprocess": (preprocessed - started) * 1e3,
                "inference": (inferred - preprocessed) * 1e3,
                "decision": (decided - inferred) * 1e3,
            },
        )

    def logits(self, pixels: Pixels) -> Logits:
        """Pixels that are already preprocessed, uint8 RGB [N, H, W, 3], to float32 [N, classes]."""
        return self.session.run(pixels)

    def close(self) -> None:
        """Frees the device. Closing twice does nothing."""
        if self._open:
            self._open = False
            self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            warnings.warn("unclosed Classifier", ResourceWarning, stacklevel=2, source=self)
            self.close()


def open_session(bundle: Bundle, device_name: str, *, precision: PrecisionChoice, options: OpenOptions) -> Session:
    """Opens the artifact of that precision on the first device of ``device_name`` that is here and reads it."""
    reasons = []
    for name in expand(device_name):
        try:
            device = load_device(name)
        except DeviceUnavailable as error:
            reasons.append(str(error))
            continue
        artifact = find_artifact(bundle, device.formats, precision)
        if artifact is None:
            reasons.append(f"{name} reads {' or '.join(device.formats)} and the bundle has none in {precision}")
            continue
        probe = device.probe()
        if not probe.available:
            reasons.append(f"{name}: {probe.reason}. Fix: {probe.fix}")
            continue
        check_artifact(artifact)
        return device.open(artifact, options)
    raise DeviceUnavailable(f"--device {device_name} for {bundle.name}", got="; ".join(reasons))


def find_artifact(bundle: Bundle, formats: tuple[str, ...], precision: PrecisionChoice) -> Artifact | None:
    """The first artifact of that precision in one of the formats, in the formats' order."""
    for wanted in formats:
        for artifact in bundle.artifacts:
            if artifact.format == wanted and artifact.is_int8 == (precision == "int8"):
                return artifact
    return None


def artifact_device(artifact: Artifact) -> str:
    """The CPU engine that reads an artifact: its reference device."""
    return {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}[artifact.format]
