"""An open bundle on a device: pictures in, labels out. Internal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Model, OpenOptions, Pixels, Session
from linnet_devices.closable import Closable
from linnet_runtime.bundle import Bundle, open_bundle
from linnet_runtime.failover.checked import Limits
from linnet_runtime.failover.ladder import open_ladder
from linnet_runtime.failover.rung import DeviceEvent
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.features.head import Head, bundle_of_features, load_head, logits_from, maps_of
from linnet_runtime.preprocess import Color, preprocess
from linnet_runtime.probabilities import probabilities, top_classes
from linnet_runtime.sessions import PrecisionChoice, choose_precision, warn_of_float
from linnet_runtime.unknown import UNKNOWN, unknown_scores


@dataclass(frozen=True)
class Classification:
    """The label of a picture, and which device and model gave it."""

    label: str
    """The label with the highest probability, or ``"unknown"``: see ``unknown_score``."""
    probability: float
    """The probability of ``label``, or of ``closest`` if unknown. 0 to 1: the softmax of the logits over the
    bundle's temperature, or the model's own probability where the labels are ``independent``."""
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
    feature_vector: NDArray[np.float32] | None = None
    """float32 [channels]: the mean of the last feature map over its places. None without ``explain``."""
    saliency_map: NDArray[np.float32] | None = None
    """float32 [classes, h, w]: the class activation map, which is what each place of the picture adds to each logit.
    The mean over the places, plus the bias of the class, is the logit before rounding. None without
    ``explain``."""
    unknown_score: float | None = None
    """Larger for a picture that is less like the classes; None if the bundle has no threshold. See
    ``linnet_runtime.unknown``."""
    closest: str | None = None
    """The most probable label if ``label`` is ``"unknown"``, else None."""
    reason: str = ""
    """Why the picture is unknown: ``"energy -3.2 above -5.1"``; else empty."""
    canary_passed_at: float | None = None
    """When the device last passed a canary, in seconds since the epoch; None for a CPU engine, which passed at its
    opening. Where a later one fails, an event recalls the results with that time."""

    @property
    def is_unknown(self) -> bool:
        """Whether the picture is unknown: its score is above the bundle's threshold."""
        return self.closest is not None

    def to_json(self) -> dict[str, object]:
        """The classification as ``linnet classify`` prints it."""
        line: dict[str, object] = {
            "label": self.label,
            "probability": round(self.probability, 6),
            "top": [{"label": label, "probability": round(p, 6)} for label, p in self.top],
            "device": self.device,
            "artifact": self.artifact,
        }
        if self.independent:
            line["independent"] = True
        if self.unknown_score is not None:
            line["unknown_score"] = round(self.unknown_score, 6)
        return line | ({"closest": self.closest, "reason": self.reason} if self.is_unknown else {})


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready for the model."""

    pixels: Pixels
    """uint8 RGB [1, H, W, 3], of the model's size."""
    preprocess_ms: float
    """Milliseconds that preprocessing took."""


class Outputs(NamedTuple):
    """The raw outputs of the model for a prepared picture."""

    values: NDArray[np.float32]
    """As ``Session.run`` returns them."""
    model: Model
    """The model that ran."""
    device: str
    """The name of the device that ran it."""
    preprocess_ms: float
    """Milliseconds that preprocessing took."""
    inference_ms: float
    """Milliseconds that the device took."""
    canary_passed_at: float | None
    """As in ``Classification``."""


class Classifier(Closable):
    """An open bundle. Use it as a context manager, or close it. Several threads may use it: pictures are prepared side
    by side, and the device runs the model for one of them at a time.
    """

    def __init__(
        self, bundle: Bundle, session: Session, *, float_unasked: bool = False, head: Head | None = None
    ) -> None:
        self.bundle = bundle
        self.session = session
        self._head = head
        self._float_unasked = float_unasked  # a warning is due
        self._running = threading.Lock()
        self._opened()

    @classmethod
    def open(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        precision: PrecisionChoice | None = None,
        explain: bool = False,
        options: OpenOptions | None = None,
        limits: Limits | None = None,
    ) -> Self:
        """Opens a bundle on a device.

        Args:
            path: the bundle's folder.
            device: a name from ``linnet devices``; several with commas, best first, where the next takes over when one
                fails; or ``"auto"``: the first that is available and gives the right answers.
            precision: the model to run, ``"int8"`` or ``"float"``; None is int8 where the bundle has it, else float,
                with a warning at the first picture.
            explain: whether results have ``feature_vector`` and ``saliency_map``. The device then runs the bundle's
                feature artifact in int8, and the logits are computed from its feature map.
            options: threads, and how much of the model has to run on the device.
            limits: when an accelerator counts as failed.

        Raises:
            BundleError: the bundle is damaged, or has no model in that precision, or none that explains.
            DeviceError: the device is unknown, or cannot run the model.
            DeviceUnavailable: no device of the list is available; the line has the reason of each.
        """
        bundle = open_bundle(Path(path), absolute=True)
        options, limits = options or OpenOptions(), limits or Limits()
        if explain:
            of_features = bundle_of_features(bundle)
            chosen = choose_precision(of_features, precision)
            session = open_ladder(of_features, device, precision=chosen, options=options, limits=limits)
            return cls(bundle, session, head=load_head(bundle))
        chosen = choose_precision(bundle, precision)
        session = open_ladder(bundle, device, precision=chosen, options=options, limits=limits)
        return cls(bundle, session, float_unasked=precision is None and chosen == "float")

    def classify(self, picture: NDArray[np.uint8], *, color: Color) -> Classification:
        """Labels a picture.

        Args:
            picture: uint8 [H, W, 3], or [H, W] with ``color="gray"``; ``read_picture`` gives ``"bgr"``.
            color: the order of its channels: ``"bgr"``, ``"rgb"`` or ``"gray"``.

        Raises:
            LinnetError: another dtype or shape.
            DeviceError: the device failed.
        """
        return self.label(self.run_prepared(self.prepare(picture, color=color)))

    def prepare(self, picture: NDArray[np.uint8], *, color: Color) -> Prepared:
        """The first part of ``classify``: the bundle's preprocessing, which needs no device.

        Raises:
            LinnetError: another dtype or shape than ``classify`` takes.
        """
        started = time.perf_counter()
        pixels = preprocess(picture, self.bundle.preprocess, color=color)[None]
        return Prepared(pixels, (time.perf_counter() - started) * 1e3)

    def run_prepared(self, prepared: Prepared) -> Outputs:
        """The second part of ``classify``: the model on the device.

        Raises:
            DeviceError: the device failed.
        """
        with self._running:
            session = self.session
            started = time.perf_counter()
            values = session.run(prepared.pixels)
            inference_ms = (time.perf_counter() - started) * 1e3
            canary_passed_at = session.canary_passed_at if isinstance(session, SupervisedSession) else None
            outputs = Outputs(
                values, session.model, session.device, prepared.preprocess_ms, inference_ms, canary_passed_at
            )
            self._warn_of_float()
        return outputs

    def label(self, outputs: Outputs) -> Classification:
        """The third part of ``classify``: the probabilities and the label, which need no device."""
        started = time.perf_counter()
        model = outputs.model
        logits = logits_from(outputs.values, model, self._head)[0]
        independent = model.output.is_independent
        probability = probabilities(logits, self.bundle.temperature, independent=independent)
        top = top_classes(probability, self.bundle.labels)
        score, reason = self._unknown_score(logits)
        return Classification(
            label=UNKNOWN if reason else top[0][0],
            probability=top[0][1],
            top=top,
            independent=independent,
            logits=logits,
            device=outputs.device,
            artifact=model.path.rpartition("/")[2],  # pathlib takes 0.05 ms
            stages_ms={
                "preprocess": outputs.preprocess_ms,
                "inference": outputs.inference_ms,
                "decision": (time.perf_counter() - started) * 1e3,
            },
            unknown_score=score,
            closest=top[0][0] if reason else None,
            reason=reason,
            canary_passed_at=outputs.canary_passed_at,
            **self._explanation(outputs),
        )

    def _unknown_score(self, logits: Logits) -> tuple[float | None, str]:
        """The score of logits float32 [classes], and why they are unknown; (None, "") without a threshold."""
        rule = self.bundle.unknown
        if not rule or not np.isfinite(logits).all():
            return None, ""
        score = float(unknown_scores(rule.score, logits[None], self.bundle.temperature)[0])
        if score <= rule.threshold:
            return score, ""
        return score, f"{rule.score.replace('_', ' ')} {score:.4g} above {rule.threshold:.4g}"

    def _explanation(self, outputs: Outputs) -> dict[str, NDArray[np.float32]]:
        """The fields that a result has only with ``explain``."""
        if self._head is None:
            return {}
        maps = maps_of(outputs.values, outputs.model)
        vector, saliency = self._head.feature_vectors(maps)[0], self._head.activation_maps(maps)[0]
        return {"feature_vector": vector, "saliency_map": saliency}

    def listen(self, listener: Callable[[DeviceEvent], object]) -> Callable[[], None]:
        """Calls a function with every event of the devices, from the thread in which it occurs, and at once with those
        of the opening. Returns a function that ends this.
        """
        return self.session.listen(listener) if isinstance(self.session, SupervisedSession) else lambda: None

    def logits(self, pixels: Pixels) -> Logits:
        """The logits, float32 [N, classes], of preprocessed pixels, uint8 RGB [N, H, W, 3]."""
        with self._running:
            logits = logits_from(self.session.run(pixels), self.session.model, self._head)
            self._warn_of_float()
        return logits

    def _warn_of_float(self) -> None:
        if self._float_unasked:
            self._float_unasked = False
            warn_of_float(self.bundle)

    def _release(self) -> None:
        with self._running:
            self.session.close()
