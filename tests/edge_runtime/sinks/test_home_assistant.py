"""Home Assistant's device discovery: the documented keys and no others, and templates that read what is published."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest

from linnet_runtime.results import Event, EventKind
from linnet_runtime.sinks.api import Stream
from linnet_runtime.sinks.home_assistant import discovery
from linnet_runtime.sinks.mqtt_topics import Topics
from linnet_runtime.testing.sink_conformance import LABELS, sample_result, sample_stream

# The keys that Home Assistant documents for device-based discovery, and whether they are required.
_ROOT = {"device": True, "origin": True, "components": True, "state_topic": False, "command_topic": False}
_ROOT |= dict.fromkeys(("qos", "encoding", "availability", "availability_mode", "availability_topic"), False)
_DEVICE = {"name", "identifiers", "connections", "manufacturer", "model", "model_id", "hw_version", "sw_version"}
_DEVICE |= {"serial_number", "suggested_area", "configuration_url", "via_device"}
_ORIGIN = {"name", "sw_version", "support_url"}
_ENTITY = {"platform", "unique_id", "name", "icon", "entity_category", "enabled_by_default", "default_entity_id"}
_ENTITY |= {"availability", "availability_mode", "availability_topic", "availability_template", "qos", "encoding"}
_ENTITY |= {"payload_available", "payload_not_available", "json_attributes_topic", "json_attributes_template"}
_PLATFORMS = {
    "sensor": {"state_topic", "value_template", "device_class", "state_class", "unit_of_measurement", "options"}
    | {"expire_after", "force_update", "suggested_display_precision", "last_reset_value_template"},
    "image": {"image_topic", "image_encoding", "content_type", "url_topic", "url_template"},
    "event": {"state_topic", "value_template", "event_types", "device_class"},
    "button": {"command_topic", "command_template", "payload_press", "device_class", "retain"},
}
_REQUIRED = {
    "sensor": {"state_topic"},
    "image": set(),
    "event": {"state_topic", "event_types"},
    "button": {"command_topic"},
}
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check_discovery(message: dict[str, Any]) -> None:
    """Fails where Home Assistant would refuse the message, or leave a part of it out."""
    assert set(message) <= set(_ROOT)
    assert {key for key, required in _ROOT.items() if required} <= set(message)
    assert set(message["device"]) <= _DEVICE
    assert message["device"]["identifiers"]
    assert set(message["origin"]) <= _ORIGIN
    assert message["origin"]["name"]
    identifiers = [component["unique_id"] for component in message["components"].values()]
    assert len(identifiers) == len(set(identifiers))
    for key, component in message["components"].items():
        platform = component["platform"]
        assert _ID.fullmatch(key)
        assert set(component) <= _ENTITY | _PLATFORMS[platform], key
        assert _REQUIRED[platform] <= set(component), key
        assert component.get("entity_category", "diagnostic") in ("diagnostic", "config")
        for topic in (value for name, value in component.items() if name.endswith("_topic")):
            assert "#" not in topic
            assert "+" not in topic
        if component.get("device_class") == "enum":
            assert len(component["options"]) == len(set(component["options"]))
            assert not {"state_class", "unit_of_measurement"} & set(component)
        if "state_class" in component:
            assert component["unit_of_measurement"]


def message_for(stream: Stream) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(json.dumps(discovery(stream, Topics("shed", stream.cameras))))
    return message


@pytest.mark.parametrize(
    "stream",
    [
        Stream(labels=LABELS, bundle="parts"),
        sample_stream(),
        Stream(labels=("unknown", "ä/ö #+")),  # a label may be anything
        Stream(labels=LABELS, cameras={"front door/1": ("left half", "Tür")}),  # names as people give them
    ],
)
def test_the_message_has_the_documented_keys(stream: Stream) -> None:
    check_discovery(message_for(stream))


def test_the_check_finds_what_is_not_documented() -> None:
    message = message_for(sample_stream())
    message["components"]["belt_label"]["topic"] = "x"
    with pytest.raises(AssertionError):
        check_discovery(message)


def test_a_camera_has_a_label_a_probability_a_picture_events_buttons_and_diagnostics() -> None:
    components = message_for(Stream(labels=LABELS))["components"]
    platforms = {key: component["platform"] for key, component in components.items()}
    assert platforms == {
        "camera_label": "sensor",
        "camera_probability": "sensor",
        "camera_age": "sensor",
        "camera_device": "sensor",
        "camera_image": "image",
        "camera_event": "event",
        "camera_classify": "button",
        "camera_snapshot": "button",
    }
    assert components["camera_label"]["options"] == [*LABELS, "unknown"]
    assert components["camera_label"]["name"] == "Label"
    assert {component["availability_topic"] for component in components.values()} == {"linnet/shed/camera/availability"}


def test_templates_read_what_is_published() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="Home Assistant's template language: pip install jinja2")
    environment = jinja2.Environment(autoescape=True)
    environment.filters["to_json"] = lambda value: jinja2.utils.markupsafe.Markup(json.dumps(value))
    components = message_for(Stream(labels=LABELS))["components"]

    def rendered(key: str, payload: dict[str, object]) -> str:
        value = json.loads(json.dumps(payload))
        text: str = environment.from_string(components[key]["value_template"]).render(value_json=value)
        return text

    state = sample_result(1, "nut", 0.8754, camera="").to_json()
    assert rendered("camera_label", state) == "nut"
    assert rendered("camera_probability", state) == "87.5"
    assert rendered("camera_age", state) == "12.5"
    assert rendered("camera_device", state) == "cpu:litert"
    event = json.loads(rendered("camera_event", Event("change", 3.0, label="nut", previous="bolt").to_json()))
    assert event["event_type"] == "change"
    assert event["event_type"] in get_args(EventKind)
    assert event["label"] == "nut"
