"""Home Assistant's device discovery: one message that describes a device and all of its entities. Internal.

The keys are those of https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. Home Assistant reads
it as a device with a sensor for the label and one for its probability, a picture, events, buttons and diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, get_args

from linnet_runtime.results import EventKind
from linnet_runtime.sinks.api import Stream
from linnet_runtime.sinks.mqtt_topics import Topics

CLASSIFY, SNAPSHOT = "classify", "snapshot"
"""The commands, on a camera's topic ``command``."""


def discovery(stream: Stream, topics: Topics) -> dict[str, Any]:
    """The discovery message, as JSON has it."""
    components: dict[str, Any] = {}
    for camera, regions in stream.cameras.items():
        for region in regions:
            components.update(_label(topics, camera, region, stream.labels))
        components.update(_camera(topics, camera))
    return {
        "device": {
            "identifiers": [f"linnet_{topics.id}"],
            "name": f"Linnet {topics.id}",
            "manufacturer": "Linnet",
            "model": stream.bundle or "camera",
            "sw_version": version("linnet"),
        },
        "origin": {"name": "linnet", "sw_version": version("linnet")},
        "qos": 1,
        "components": components,
    }


def _label(topics: Topics, camera: str, region: str, labels: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The label of a camera or a region, its probability, and the diagnostics of its results."""
    state = {"platform": "sensor", "state_topic": topics.label(camera, region)}
    name = " ".join(filter(None, (camera, region)))

    def entity(key: str, title: str, field: str, **more: Any) -> tuple[str, dict[str, Any]]:
        template = more.pop("value_template", f"{{{{ value_json.{field} }}}}")
        return _entity(topics, camera, region, key, title, {**state, "value_template": template, **more})

    options = list(dict.fromkeys([*labels, "unknown"]))
    attributes = {"json_attributes_topic": topics.label(camera, region)}
    yield entity("label", _titled(name, "label"), "label", device_class="enum", options=options, **attributes)
    percent = "{{ (value_json.probability * 100) | round(1) }}"
    yield entity(
        "probability",
        _titled(name, "probability"),
        "probability",
        value_template=percent,
        unit_of_measurement="%",
        state_class="measurement",
    )
    milliseconds = {"device_class": "duration", "unit_of_measurement": "ms", "state_class": "measurement"}
    yield entity("age", _titled(name, "age"), "age_ms", **milliseconds, entity_category="diagnostic")
    yield entity("device", _titled(name, "device"), "device", entity_category="diagnostic")


def _camera(topics: Topics, camera: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The picture, the events and the buttons of a camera."""
    picture = {"platform": "image", "image_topic": topics.image(camera), "content_type": "image/jpeg"}
    yield _entity(topics, camera, "", "image", _titled(camera, "picture"), picture)
    events = {
        "platform": "event",
        "state_topic": topics.event(camera),
        "event_types": list(get_args(EventKind)),
        "value_template": "{{ dict(value_json, event_type=value_json.event) | to_json }}",
    }
    yield _entity(topics, camera, "", "event", _titled(camera, "event"), events)
    for command, title in ((CLASSIFY, "classify now"), (SNAPSHOT, "take a picture")):
        button = {"platform": "button", "command_topic": topics.command(camera), "payload_press": command}
        yield _entity(topics, camera, "", command, _titled(camera, title), button)


def _entity(
    topics: Topics, camera: str, region: str, key: str, title: str, keys: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    identifier = topics.identifier(camera, region, key)
    common = {
        "unique_id": f"linnet_{topics.id}_{identifier}",
        "name": title,
        "availability_topic": topics.availability(camera),
    }
    return identifier, {**keys, **common}


def _titled(name: str, what: str) -> str:
    title = f"{name} {what}".strip()
    return title[:1].upper() + title[1:]
