"""The table "How each was tested" is made from one file, and names what the code has."""

from __future__ import annotations

import runpy
import tomllib
from typing import get_args

from linnet_devices.api import Tier
from linnet_devices.registry import DEVICES, FAMILIES
from program import ROOT

DOCS = ROOT / "docs"


def test_the_table_is_that_of_the_evidence() -> None:
    """Where it differs: python docs/evidence.py."""
    made = runpy.run_path(str(DOCS / "evidence.py"))
    page = (DOCS / "devices.md").read_text()
    assert made["page_with"](page, made["table"]((DOCS / "evidence.toml").read_text())) == page


def test_every_device_has_its_evidence() -> None:
    rows = tomllib.loads((DOCS / "evidence.toml").read_text())["device"]
    assert {row["tier"] for row in rows} <= set(get_args(Tier))
    names = " ".join(row["name"] for row in rows)
    assert [
        name for name in (*DEVICES, *FAMILIES) if name not in names and name != "fake" and f"`{name[:-1]}`" not in names
    ] == []
