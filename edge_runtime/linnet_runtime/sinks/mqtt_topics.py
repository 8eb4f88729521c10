"""The topics of a device: ``linnet/ID/CAMERA/[REGION/]{label,event,image,availability,command}``. Internal."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

from linnet_runtime.sinks.api import SinkError

_CAMERA = "camera"  # an only camera has no name
_OTHER = re.compile("[^A-Za-z0-9_-]")


class Topics:
    """Topics by a camera's and a region's name. What a topic cannot hold becomes ``_``."""

    def __init__(self, device: str, cameras: Mapping[str, tuple[str, ...]]) -> None:
        """Names the device ``device``, or like the machine where that is empty.

        Raises:
            SinkError: two cameras or regions would have one topic, or one name of an entity.
        """
        self.id = _segment(device or socket.gethostname().partition(".")[0])
        taken: dict[str, tuple[str, ...]] = {}
        for camera, regions in cameras.items():
            _take(taken, self.event(camera), (camera,))
            for region in regions:
                _take(taken, self.label(camera, region), (camera, region))
                _take(taken, self.identifier(camera, region, "label"), (camera, region))

    def label(self, camera: str, region: str) -> str:
        """The retained state: the newest result."""
        return "/".join(filter(None, (self._camera(camera), region and _segment(region), "label")))

    def event(self, camera: str) -> str:
        """The events of a camera, or of the device where ``camera`` is empty."""
        return f"{self._camera(camera)}/event"

    def image(self, camera: str) -> str:
        """A picture of the newest event, as JPEG."""
        return f"{self._camera(camera)}/image"

    def availability(self, camera: str) -> str:
        """``online`` or ``offline``."""
        return f"{self._camera(camera)}/availability"

    def command(self, camera: str) -> str:
        """What buttons publish."""
        return f"{self._camera(camera)}/command"

    def identifier(self, camera: str, region: str, key: str) -> str:
        """Names an entity within the device."""
        return "_".join([_segment(camera or _CAMERA), *([_segment(region)] if region else []), key])

    def _camera(self, camera: str) -> str:
        return f"linnet/{self.id}/{_segment(camera or _CAMERA)}"


def _take(taken: dict[str, tuple[str, ...]], topic: str, names: tuple[str, ...]) -> None:
    """Notes whose topic, or name of an entity, it is. Raises SinkError where others have it already."""
    if topic in taken:
        got = f"{' '.join(taken[topic])} and {' '.join(names)}, which are both {topic}"
        raise SinkError("cameras and regions", got=got, expected="different topics", fix="other names")
    taken[topic] = names


def _segment(name: str) -> str:
    return _OTHER.sub("_", name) or "_"
