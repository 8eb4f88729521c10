"""What the documentation tells a reader to type and to read."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from linnet_runtime.cli import COMMANDS
from linnet_runtime.cli import linnet as program
from program import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
SCRIPTS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py") if path.name != "common.py")

# Fenced as a shell's, or indented.
_BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```$|^((?: {4}.*\n)+)", re.MULTILINE | re.DOTALL)
_LINNET = re.compile(r"(?:\$ )?(?:\S*/)?linnet (.*)")
_BENCHMARK = re.compile(r"(?:\$ )?\S*python3? benchmarks/(.*)")
_LOCAL_LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


def _typed(pages: list[Path], command: re.Pattern[str]) -> list[str]:
    """What follows ``command`` on each line of the pages' code blocks that begins with it."""
    blocks = "".join("".join(found) for page in pages for found in _BLOCK.findall(page.read_text()))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [found[1].strip() for line in lines if (found := command.fullmatch(line.strip()))]


def _words(line: str) -> list[str]:
    """The words of a line up to its comment, pipe or redirection."""
    words = shlex.split(line, comments=True)
    return words[: next((i for i, word in enumerate(words) if re.match(r"\d?[|>&;]", word)), len(words))]


@pytest.mark.parametrize("line", _typed(PAGES, _LINNET))
def test_every_linnet_line_names_a_command_and_options_that_exist(line: str) -> None:
    command: click.Command = program
    arguments = _words(line)
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    command.make_context(name, arguments)  # parses, converts and runs nothing


def test_documentation_shows_every_command() -> None:
    shown = {_words(line)[0] for line in _typed(PAGES, _LINNET)}
    assert shown >= set(COMMANDS) - {"demo"}
    assert "make demo" in (ROOT / "README.md").read_text()


@functools.cache
def _help(script: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_says_how_it_is_run_and_is_in_the_list(script: str) -> None:
    assert f"    python benchmarks/{script}" in _help(script)
    assert script in {_words(line)[0] for line in _typed([ROOT / "benchmarks" / "README.md"], _BENCHMARK)}


@pytest.mark.parametrize("line", _typed(PAGES, _BENCHMARK))
def test_every_benchmark_line_has_options_that_exist(line: str) -> None:
    script, *arguments = _words(line)
    options = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert options <= set(re.findall(r"--[\w-]+", _help(script)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_somewhere(page: Path) -> None:
    assert [link for link in _LOCAL_LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_wheel_is_called_by_its_name(page: Path) -> None:
    assert set(re.findall(r"linnet-[\w.]+-py3-none-any\.whl", page.read_text())) <= {
        f"linnet-{version('linnet')}-py3-none-any.whl"
    }
