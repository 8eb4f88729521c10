"""docs/live.md has every key of a configuration as its struct has it, and its examples are configurations."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

from edge_runtime.settings_tables import settings_table
from linnet_runtime.live_config import CameraConfig, LiveConfig, to_live_config
from linnet_runtime.pipeline.camera import CameraSettings
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.sinks.settings import (
    JsonLinesSettings,
    LogSettings,
    MetricsSettings,
    MqttSettings,
    SinkSettings,
    SnapshotSettings,
    TerminalSettings,
    VideoSettings,
    WebhookSettings,
)
from program import ROOT

PAGE = (ROOT / "docs" / "live.md").read_text()
SINKS = tuple(field.name for field in msgspec.structs.fields(SinkSettings))
# docs/decisions.md has the tables of decisions.
TABLES = {
    "At the top": settings_table(LiveConfig, leave_out=(*SINKS, "camera", "decision", "serve")),
    "`[[camera]]`": settings_table(CameraConfig, leave_out=("region", "when", "decision")),
    "`[serve]`": settings_table(ServeSettings),
    "`[terminal]`": settings_table(TerminalSettings),
    "`[mqtt]`": settings_table(MqttSettings),
    "`[metrics]`": settings_table(MetricsSettings),
    "`[webhook]`": settings_table(WebhookSettings),
    "`[log]`": settings_table(LogSettings),
    "`[video]`": settings_table(VideoSettings),
    "`[snapshots]`": settings_table(SnapshotSettings),
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_with_its_meaning_and_default(heading: str) -> None:
    """Where this fails, the table to put under that heading is in the message."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    assert TABLES[heading] in section, TABLES[heading]


def test_the_page_names_every_sink() -> None:
    assert msgspec.structs.fields(JsonLinesSettings) == ()
    for name in SINKS:
        assert f"`[{name}" in PAGE, name


def test_the_examples_are_configurations() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        to_live_config(tomllib.loads(block))


def test_a_summarys_counters_are_explained() -> None:
    counters = ("read", "classified", "dropped", "skipped", "too_old", "damaged", "repeated", "recalled")
    for counter in counters:
        assert f"`frames_{counter}`" in PAGE, counter


def test_a_cameras_settings_are_those_of_a_configuration() -> None:
    in_python = {field.name for field in msgspec.structs.fields(CameraSettings)}
    assert {field.name for field in msgspec.structs.fields(CameraConfig)} == in_python | {"source"}
