"""The documentation's site: it builds without a warning, and a reader needs no network for it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from linnet_runtime.cli import COMMANDS
from once import made_once
from program import ROOT

# What a browser fetches by itself, by tag and attribute.
_FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make docs`` makes; any warning fails it."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once(tmp_path_factory, "site", make)


class _Fetched(HTMLParser):
    """The addresses that a browser fetches to show a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel") in ("canonical", "next", "prev"):
            return
        self.addresses += [value for name, value in attrs if (tag, name) in _FETCHED and value]


def test_pages_fetch_nothing_from_other_servers(site: Path) -> None:
    fetched = {address for page in site.rglob("*.html") for address in _Fetched(page).addresses}
    assert fetched, "the pages have style sheets at least"
    assert [address for address in fetched if re.match(r"(\w+:)?//", address)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference(site: Path, command: str) -> None:
    assert f'id="linnet-{command}"' in (site / "reference" / "commands.html").read_text()


@pytest.mark.parametrize("package", ["linnet_devices", "linnet_runtime", "linnet_train", "linnet_convert"])
def test_every_public_name_is_in_the_python_reference(site: Path, package: str) -> None:
    page = (site / "reference" / "python.html").read_text()
    names = getattr(importlib.import_module(package), "__all__", [])
    assert [name for name in names if f'.{name}"' not in page] == []
