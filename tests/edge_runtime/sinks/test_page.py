"""docs/sinks.md: its configurations are read, and its lists are complete."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

from linnet_runtime.sinks.metrics import RunMetrics
from linnet_runtime.sinks.settings import SinkSettings
from linnet_runtime.testing.sink_conformance import sample_result, sample_stream
from program import ROOT

PAGE = (ROOT / "docs" / "sinks.md").read_text()
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.partition("\n")[0] for block in BLOCKS])
def test_each_configuration_is_read_and_shows_every_key(block: str) -> None:
    tables = tomllib.loads(block)
    settings = msgspec.convert(tables, SinkSettings)
    ((name, table),) = tables.items()
    if name != "sink":
        missing = set(getattr(settings, name).__struct_fields__) - set(table)
        assert all(f"`{key}" in PAGE for key in missing)


def test_every_table_has_a_row() -> None:
    rows = set(re.findall(r"^\| `\[(\w+)\]`", PAGE, re.MULTILINE))
    assert rows == {*SinkSettings.__struct_fields__} - {"sink"}


def test_every_metric_is_listed() -> None:
    metrics = RunMetrics(sample_stream())
    metrics.count(sample_result())
    names = re.findall(r"^# TYPE (linnet\w*)", metrics.text().decode(), re.MULTILINE)
    assert [name for name in names if f"`{name}" not in PAGE and not name.endswith("_created")] == []
