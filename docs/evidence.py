"""Writes the table "How each was tested" in docs/devices.md from docs/evidence.toml: ``python docs/evidence.py``."""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PAGE, EVIDENCE = HERE / "devices.md", HERE / "evidence.toml"
HEAD = "| Device | Evidence | Tested | Not proven |\n| --- | --- | --- | --- |\n"


def table(text: str) -> str:
    """The Markdown table of the evidence in TOML."""
    rows = tomllib.loads(text)["device"]
    return HEAD + "".join(
        f"| {row['name']} | {row['tier']} | {row['tested']} | {row['not_proven']} |\n".replace("|  |", "| |")
        for row in rows
    )


def page_with(page: str, new: str) -> str:
    """The page with the table in place of the one that it has."""
    before, head, rest = page.partition(HEAD)
    if not head:
        raise ValueError(f"no table that begins with {HEAD.splitlines()[0]}")
    lines = rest.splitlines(keepends=True)
    end = next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return before + new + "".join(lines[end:])


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(), table(EVIDENCE.read_text())))
