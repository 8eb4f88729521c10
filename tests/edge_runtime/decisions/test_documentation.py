"""The page about decisions: its examples are read, and its tables have every key."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

from linnet_runtime.decisions.settings import DecisionSettings, Region, When
from linnet_runtime.live_config import to_live_config
from program import ROOT

PAGE = (ROOT / "docs" / "decisions.md").read_text()


@pytest.mark.parametrize("toml", re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_every_example_is_a_configuration(toml: str) -> None:
    assert len(to_live_config(tomllib.loads(toml)).camera) == 1


def test_every_key_is_in_a_table_and_every_number_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ?([^|]*) \|$", PAGE, re.MULTILINE))  # three columns
    for kind in (Region, When, DecisionSettings):
        for field in msgspec.structs.fields(kind):
            assert field.name in rows
            if type(field.default) in (int, float):
                assert rows[field.name] == f"{field.default:g}"
