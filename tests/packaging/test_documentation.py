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

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
SHARED = {"common.py", "http_load.py"}  # what scripts share
SCRIPTS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py") if path.name not in SHARED)

# A block with a fence and its language, which may be indented in a list, and one that is only indented.
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}.*\n)+", re.MULTILINE)
_SHELL = ("sh", "bash", "console", "")
_LINNET = re.compile(r"(?:\$ )?(?:\S*/)?linnet (.*)")
_BENCHMARK = re.compile(r"(?:\$ )?\S*python3? benchmarks/(.*)")
_LOCAL_LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


def _typed(pages: list[Path], command: re.Pattern[str]) -> list[str]:
    """What follows ``command`` on each line of the pages' shell blocks that begins with it."""
    blocks = []
    for text in (page.read_text() for page in pages):
        blocks += [code for _, language, code in _FENCED.findall(text) if language in _SHELL]
        blocks += _INDENTED.findall(_FENCED.sub("", text))
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
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
    assert "make demo" in README.read_text()


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


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", ["sh", "python", "text"])
def test_the_chinese_readme_has_the_same_commands_and_output(language: str) -> None:
    """Its comments are Chinese."""
    english, chinese = (
        [re.sub(r" *# .*", "", block) for block in _blocks(page, language)] for page in (README, ROOT / "README.zh.md")
    )
    assert english
    assert chinese == english


def test_the_chinese_readme_has_the_same_links_sections_and_figures() -> None:
    english, chinese = (
        [
            re.findall(pattern, page.read_text(), re.MULTILINE)
            for pattern in (r"\]\(((?!README)[^)]+)\)", r"^#+ ", r"^\|.*\|$")
        ]
        for page in (README, ROOT / "README.zh.md")
    )
    for ours, theirs in zip(english[:2], chinese[:2], strict=True):
        assert theirs == ours
    numbers = [[re.findall(r"\d[\d.,]*\d|\d", row) for row in rows] for rows in (english[2], chinese[2])]
    assert numbers[1] == numbers[0]


# Three classes of one color each, and a network that tells them apart without training.
_OWN_MODEL = """
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(0)
for part in ("train", "val"):
    for channel, label in enumerate(("bolt", "gear", "washer")):
        folder = Path("photos", part, label)
        folder.mkdir(parents=True)
        for i in range(1, 11):
            photo = rng.integers(0, 120, (40, 40, 3))
            photo[..., 2 - channel] += 100
            cv2.imwrite(str(folder / f"{i:04d}.jpg"), photo)
pixels = keras.Input((32, 32, 3))
channels = layers.Conv2D(3, 1, name="channels")(pixels)
model = keras.Model(pixels, layers.GlobalAveragePooling2D()(channels))
model.get_layer("channels").set_weights([4 * np.eye(3).reshape(1, 1, 3, 3), np.zeros(3)])
model.save("parts.keras")
"""


def test_the_readmes_python_runs(tmp_path: Path) -> None:
    (example,) = _blocks(README, "python")
    assert len(example.replace("\n\n", "\n").splitlines()) <= 10
    command = [sys.executable, "-c", _OWN_MODEL + example]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "bolt"


def test_the_tutorials_script_saves_photos(tmp_path: Path) -> None:
    (script,) = _blocks(ROOT / "docs" / "tutorial.md", "python")
    command = [sys.executable, "-c", script, "synthetic:", "belt/frames", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")) == done.stdout.split()


# Files that CONTRIBUTING.md has its reader make.
_MADE_BY_THE_READER = re.compile(r"(?:flat|pebble|blank)\.py$")
_SOURCE_ROOTS = [ROOT, *(ROOT / name for name in ("devices", "edge_runtime", "train", "convert"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_projects_files_that_a_page_names_exist(page: Path) -> None:
    start = r"(?:linnet_\w+|devices|edge_runtime|train|convert|tests|benchmarks|examples)/"
    named = re.findall(rf"(?<![\w/.]){start}[\w./-]*\w/?(?![\w*])", page.read_text())
    missing = [
        name
        for name in named
        if not _MADE_BY_THE_READER.search(name) and not any((root / name).exists() for root in _SOURCE_ROOTS)
    ]
    assert missing == []
