"""What every page has in common: one file, escaped text, pictures inside."""

from __future__ import annotations

import base64
import importlib
import re
import sys
from pathlib import Path

import cv2
import jinja2
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from linnet_runtime.pages import png_of, png_uri, render_page, thumbnail_uri
from program import ROOT

TEMPLATES = [path for layer in ("edge_runtime", "train") for path in sorted((ROOT / layer).rglob("*.html"))]
PAGES = [path for path in TEMPLATES if path.name == "base.html" or 'extends "base.html"' in path.read_text()]

TEMPLATE = """{% extends "base.html" %}
{% block title %}{{ name }}{% endblock %}
{% block body %}<h1>{{ name }}</h1>{% endblock %}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a page."""
    folder = tmp_path / "with_a_page"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "page.html").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    return folder.name


def decoded(uri: str, kind: str) -> NDArray[np.uint8]:
    head, _, data = uri.partition(",")
    assert head == f"data:image/{kind};base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


def test_a_page_is_the_template_in_the_common_frame_and_its_values_are_text(package: str) -> None:
    page = render_page(package, name="<b>nuts & bolts")
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;b&gt;nuts &amp; bolts</title>" in page
    assert "<h1>&lt;b&gt;nuts &amp; bolts</h1>" in page


def test_a_value_that_is_missing_is_an_error_and_not_a_gap(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        render_page(package)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((300, 600), (50, 100)), ((600, 300), (80, 40)), ((4, 5), (80, 100)), ((3, 9000), (1, 100))],
    ids=["wide", "high", "small ones grow", "nothing is too thin"],
)
def test_a_thumbnail_fits_and_keeps_its_aspect(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    blue = np.full((*shape, 3), (200, 60, 20), dtype=np.uint8)
    small = decoded(thumbnail_uri(blue, 100, 80), "jpeg")
    assert small.shape[:2] == expected
    assert np.abs(small.astype(int) - (200, 60, 20)).max() < 12, "blue comes first"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_tables_scroll_within_the_page_and_text_follows_the_color_scheme(page: Path) -> None:
    """A telephone is narrower than most tables. Text that stays black cannot be read on a dark background."""
    text = page.read_text()
    tables = [line for line in text.splitlines() if "<table" in line]
    assert all(re.search(r'<div class=".*(scroll|long).*"><table', line) for line in tables)
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", text.partition("<style>")[2] or text.partition("block style")[2])
    fixed = [
        name.strip() for name, rule in rules if re.search(r"(?<![-\w])color: #", rule) and "background" not in rule
    ]
    assert fixed == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_plots_scroll_within_the_page(page: Path) -> None:
    """Shrunk to the width of a telephone, their letters cannot be read."""
    assert not re.search(r"<p><img", page.read_text())


def test_a_plot_is_a_png_whatever_script_is_in_it() -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "\u9ce5")
    picture = decoded(png_uri(png_of(figure)), "png")
    assert picture.shape[1] == 2 * picture.shape[0]
