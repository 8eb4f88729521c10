"""An open bundle on a device: pictures in, labels out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, OpenOptions, Pixels, Session
from linnet_devices.closable import Closable
from linnet_runtime.bundle import Bundle, open_bundle
from linnet_runtime.decision import probabilities, top_classes
from linnet_runtime.failover.checked import Limits
from linnet_runtime.failover.ladder import open_ladder
from linnet_runtime.preprocess import Color, preprocess
from linnet_runtime.sessions import PrecisionChoice, choose_precision


@dataclass(frozen=True)
class Classification:
    """The label of a picture, and which device and model gave it."""

    label: str
    """The label with the highest probability."""
    probability: float
    """0 to 1: the softmax of the logits over the bundle's temperature, or the model's own probability where the labels
    are ``independent``."""
    top: tuple[tuple[str, float], ...]
    """The best five (label, probability), best first."""
    independent: bool
    """Whether each label has a probability of its own (a model that ends in sigmoids), so that several labels may be
    right, or none, and the probabilities do not add up to 1."""
    logits: Logits
    """float32 [classes], in the order of the bundle's labels."""
    device: str
    """The name of the device that ran the model."""
    artifact: str
    """The name of the model's file."""
    stages_ms: dict[str, float]
    """Milliseconds in each of preprocess, inference and decision."""

    def to_json(self) -> dict[str, object]:
        """The classification as ``linnet classify`` prints it."""
        line: dict[str, object] = {
            "label": self.label,
            "probability": round(self.probability, 6),
            "top": [{"label": label, "probability": round(p, 6)} for label, p in self.top],
            "device": self.device,
            "artifact": self.artifact,
        }
        return line | ({"independent": True} if self.independent else {})


class Classifier(Closable):
    """An open bundle. Use it as a context manager, or close it. It must not be used by two threads at once."""

    def __init__(self, bundle: Bundle, session: Session) -> None:
        self.bundle = bundle
        self.session = session
        self._opened()

    @classmethod
    def open(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        precision: PrecisionChoice | None = None,
        options: OpenOptions | None = None,
        limits: Limits | None = None,
    ) -> Self:
        """Opens a bundle on a device.

        Args:
            path: the bundle's folder.
            device: a name from ``linnet devices``; several with commas, best first, where the next takes over when one
                fails; or ``"auto"``: the first that is available and gives the right answers.
            precision: the model to run, ``"int8"`` or ``"float"``; None is int8 where the bundle has it, else float,
                with a warning.
            options: threads, and how much of the model has to run on the device.
            limits: when an accelerator counts as failed.

        Raises:
            BundleError: the bundle is damaged, or has no model in that precision.
            DeviceError: the device is unknown, or cannot run the model.
            DeviceUnavailable: no device of the list is available; the line has the reason of each.
        """
        bundle = open_bundle(Path(path), absolute=True)
        session = open_ladder(
            bundle,
            device,
            precision=choose_precision(bundle, precision),
            options=options or OpenOptions(),
            limits=limits or Limits(),
        )
        return cls(bundle, session)

    def classify(self, picture: NDArray[np.uint8], *, color: Color) -> Classification:
        """Labels a picture.

        Args:
            picture: uint8 [H, W, 3], or [H, W] with ``color="gray"``; ``read_picture`` gives ``"bgr"``.
            color: the order of its channels: ``"bgr"``, ``"rgb"`` or ``"gray"``.

        Raises:
            LinnetError: another dtype or shape.
            DeviceError: the device failed.
        """
        started = time.perf_counter()
        pixels = preprocess(picture, self.bundle.preprocess, color=color)
        preprocessed = time.perf_counter()
        logits = self.session.run(pixels[None])[0]
        inferred = time.perf_counter()
        independent = self.session.model.output.is_independent
        probability = probabilities(logits, self.bundle.temperature, independent=independent)
        top = top_classes(probability, self.bundle.labels)
        decided = time.perf_counter()
        return Classification(
            label=top[0][0],
            probability=top[0][1],
            top=top,
            independent=independent,
            logits=logits,
            device=self.session.device,
            artifact=Path(self.session.model.path).name,
            stages_ms={
                "preprocess": (preprocessed - started) * 1e3,
                "inference": (inferred - preprocessed) * 1e3,
                "decision": (decided - inferred) * 1e3,
            },
        )

    def logits(self, pixels: Pixels) -> Logits:
        """The logits, float32 [N, classes], of preprocessed pixels, uint8 RGB [N, H, W, 3]."""
        return self.session.run(pixels)

    def _release(self) -> None:
        self.session.close()
