"""The bundles that are served: their versions, and how the next version of a bundle takes over from the one before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from linnet_devices.api import LinnetError, OpenOptions
from linnet_runtime.bundle import MANIFEST
from linnet_runtime.classifier import Classifier
from linnet_runtime.failover.checked import Limits, WrongAnswers
from linnet_runtime.proof.canary import check_canary, load_canary
from linnet_runtime.server.answers import Busy, NotFound
from linnet_runtime.server.lane import Lane
from linnet_runtime.sessions import PrecisionChoice

logger = logging.getLogger("linnet")

Stamp = tuple[int, ...]
State = Literal["READY", "LOADING", "UNAVAILABLE"]


@dataclass(frozen=True)
class Opening:
    """How bundles are opened; see ``Classifier.open``."""

    device: str = "auto"
    precision: PrecisionChoice | None = None
    options: OpenOptions = field(default_factory=OpenOptions)
    limits: Limits = field(default_factory=Limits)


@dataclass
class ServedModel:
    """A bundle's folder, and the version of it that answers."""

    name: str
    """The folder's name without its end: ``parts`` for ``parts.linnet``."""
    path: Path
    device: str
    """The device that is asked for; the page may change it."""
    version: int = 0
    """Counts the versions that took over, from 1."""
    lane: Lane | None = None
    """None where the model is unloaded."""
    stamp: Stamp = ()
    """The identity of the manifest that was tried last, so that a change is noticed."""
    loading: bool = False
    reason: str = ""
    """Why the last loading failed; empty where it did not."""
    failed_loads: int = 0
    """Replacements that were refused."""

    @property
    def state(self) -> State:
        if self.lane is not None:
            return "READY"
        return "LOADING" if self.loading else "UNAVAILABLE"


class Models:
    """The bundles by name. Everything but ``open_lane`` is called in the thread of the server."""

    def __init__(self, paths: tuple[Path, ...], opening: Opening, most_waiting: int) -> None:
        """Names the bundles; ``load`` opens them. Raises LinnetError where two have one name."""
        self._opening = opening
        self._most_waiting = most_waiting
        self._by_name: dict[str, ServedModel] = {}
        for path in paths:
            name = path.absolute().name.removesuffix(".linnet")
            if name in self._by_name:
                raise LinnetError(str(path), got=f"a second bundle named {name}", expected="a name for each")
            self._by_name[name] = ServedModel(name, path.absolute(), opening.device)

    @property
    def first(self) -> ServedModel:
        """The first bundle of the command: the cameras use it."""
        return next(iter(self))

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._by_name.values())

    def find(self, name: str, version: str | None = None) -> ServedModel:
        """Raises NotFound for a name, or a version, that is not served."""
        model = self._by_name.get(name)
        if model is None:
            raise NotFound(f"model {name!r}", got="no bundle of that name", expected=" or ".join(self._by_name))
        if version is not None and version != str(model.version):
            raise NotFound(f"model {name!r}", got=f"version {version!r}", expected=f"version {model.version}")
        return model

    def lane(self, name: str, version: str | None = None) -> Lane:
        """The lane that answers now. Raises NotFound; Busy where the model is unloaded."""
        model = self.find(name, version)
        if model.lane is None:
            raise Busy(f"model {model.name!r}", got="it is not loaded", expected="a loaded model")
        return model.lane

    def open_lane(self, model: ServedModel, device: str | None = None) -> Lane:
        """Opens a bundle in a new lane, beside the one that answers. It blocks.

        Raises:
            BundleError, DeviceError: as ``Classifier.open``.
            WrongAnswers: the device's logits of the canaries are not the bundle's.
        """
        return Lane(_opener(model.path, self._opening, device or model.device), self._most_waiting)

    def take_over(self, model: ServedModel, lane: Lane, device: str | None = None) -> Lane | None:
        """Makes a new lane answer. Returns the one before, which answers what it holds when the caller closes it."""
        before, model.lane = model.lane, lane
        model.version += 1
        model.device = device or model.device
        model.reason = ""
        return before

    def classifier_of_cameras(self) -> Classifier:
        """The first bundle's, once it is loaded."""
        return self.lane(self.first.name).classifier

    def load(self, model: ServedModel) -> None:
        """Opens a bundle before the server starts. Raises as ``open_lane``."""
        model.stamp = stamp(model.path)
        self.take_over(model, self.open_lane(model))

    def close(self) -> None:
        """Answers what is queued, and closes every bundle."""
        for model in self:
            if model.lane is not None:
                model.lane.close()
                model.lane = None


def stamp(path: Path) -> Stamp:
    """Changes when the manifest of a bundle is written or its folder is replaced; empty where there is none."""
    try:
        found = (path / MANIFEST).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _opener(path: Path, opening: Opening, device: str) -> Callable[[], Classifier]:
    def open_classifier() -> Classifier:
        classifier = Classifier.open(
            path, device, precision=opening.precision, options=opening.options, limits=opening.limits
        )
        try:
            result = check_canary(load_canary(classifier.bundle), classifier.session)
            if result is not None and not result.passed:
                raise WrongAnswers(f"canary on {classifier.session.device}", got=str(result))
        except BaseException:
            classifier.close()
            raise
        return classifier

    return open_classifier
