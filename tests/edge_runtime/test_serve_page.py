"""The live page, in a real browser: what it shows, at phone and desktop size, with a keyboard, and what it may load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.browser import Page, browsing, needs_chromium
from edge_runtime.server_process import RunningServer, serving
from edge_runtime.small_bundle import write_small_bundle

pytestmark = needs_chromium

CONFIGURATION = """
[[camera]]
source = "synthetic:"
name = "belt"
[[camera.region]]
name = "left"
rectangle = [0.0, 0.0, 0.5, 1.0]
[[camera.region]]
name = "right"
polygon = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "camera.toml").write_text(CONFIGURATION)
    bundle = write_small_bundle(folder / "small.linnet")
    with serving(bundle, "--device", "fake", "--config", folder / "camera.toml") as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


SHOWS_RESULTS = (
    "document.querySelectorAll('.bars li').length == 6 && document.querySelector('.picture img').naturalWidth"
)


def opened(page: Page, server: RunningServer, **options: object) -> Page:
    page.open(f"http://127.0.0.1:{server.port}/", **options)  # type: ignore[arg-type]
    page.wait_for(SHOWS_RESULTS)
    return page


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_it_fits_a_phone_and_a_desktop_in_light_and_dark(
    page: Page, server: RunningServer, width: int, height: int, dark: bool, tmp_path: Path
) -> None:
    opened(page, server, width=width, height=height, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == dark
    # Nothing is cut off at the right side, and every control can be hit by a finger.
    assert page.evaluate(
        "[...document.querySelectorAll('main *')].every(e => e.getBoundingClientRect().right <= innerWidth)"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('main button, main select, main input')]"
        ".filter(e => e.offsetParent && e.type != 'range').every(e => e.getBoundingClientRect().height >= 40)"
    )
    assert page.evaluate(CONTRASTS) >= 4.5
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert page.faults == []


# The lowest contrast of a text with what is behind it, by WCAG 2.2.
CONTRASTS = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255; return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4) }, 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } };
  return Math.min(...[...document.querySelectorAll('body *')]
    .filter((e) => e.offsetParent && [...e.childNodes].some((n) => n.nodeType == 3 && n.textContent.trim()))
    .map((e) => { const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05) }));
})()"""


def test_it_shows_each_region_with_its_outline_its_label_and_its_probabilities(
    page: Page, server: RunningServer
) -> None:
    opened(page, server)
    assert page.evaluate("document.querySelectorAll('polygon.over').length") == 2
    assert page.evaluate("document.querySelector('polygon.over').getAttribute('points')") == "0,0 0.5,0 0.5,1 0,1"
    shown = page.evaluate("[...document.querySelectorAll('.answer')].map(e => e.textContent)")
    assert ["left" in shown[0], "right" in shown[1]] == [True, True]
    for text in shown:
        assert re.match("(bolt|nut|washer).* %.*on fake", text)
    assert page.evaluate("document.querySelector('#health li').className") == "good"
    assert "Everything works: 1 camera" in page.evaluate("document.querySelector('#health').textContent")
    assert page.evaluate("document.querySelector('#models').textContent").count("fake") == 1
    assert page.wait_for("history.length > 3")
    assert page.evaluate("[...document.querySelectorAll('#counters dt')].map(e => e.textContent)")[0] == "Read"


def test_a_screen_reader_finds_its_way(page: Page, server: RunningServer) -> None:
    opened(page, server)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")}
    for expected in (
        ("main", ""),
        ("heading", "Linnet"),
        ("region", "Camera belt"),
        ("region", "State"),
        ("region", "Settings"),
        ("image", "The newest frame of the camera belt"),
        ("slider", "Threshold belt"),
        ("spinbutton", "Unknown below this probability"),
        ("combobox", "Device of small"),
        ("button", "Apply"),
        ("button", "Picture file"),
    ):
        assert expected in named, (expected, sorted(named))
    controls = {"button", "combobox", "slider", "spinbutton", "textbox", "link", "image", "img"}
    assert [role for role, name in named if role in controls and not name] == []
    spoken = page.wait_for("document.querySelector('[aria-live=polite]').textContent")
    assert re.match("belt left (bolt|nut|washer), belt right (bolt|nut|washer)", spoken)


def test_every_control_is_reached_by_the_keyboard_and_its_focus_is_seen(page: Page, server: RunningServer) -> None:
    opened(page, server)
    page.wait_for("document.querySelectorAll('#settings form').length == 2")
    reached = []
    focused = "document.activeElement"
    for _ in range(20):
        page.press("Tab")
        if page.evaluate(f"{focused} == document.body"):
            break  # past the last one
        reached.append(page.evaluate(f"{focused}.id || {focused}.className || {focused}.textContent"))
        assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") != "none", reached
    assert reached[0] == "skip"
    for control in ("events", "threshold-0", "Apply", "device-0", "Change", "try-file", "Label it"):
        assert control in reached


def test_the_threshold_is_changed_on_the_page(page: Page, server: RunningServer) -> None:
    opened(page, server)
    page.wait_for("document.querySelectorAll('#threshold-0').length")
    page.evaluate(
        "document.querySelector('#threshold-0').value = 0.9999; document.querySelector('#threshold-0').focus()"
    )
    page.press("Enter")
    page.wait_for("document.querySelector('#settings-note').textContent == 'Changed.'")
    page.wait_for("document.querySelector('.answer')?.textContent.startsWith('unknownleft · closest: ')")
    page.evaluate(
        "document.querySelector('#threshold-0').value = 0; document.querySelector('#threshold-0').form.requestSubmit()"
    )
    page.wait_for("/^(bolt|nut|washer)/.test(document.querySelector('.answer')?.textContent)")


def test_the_device_is_changed_on_the_page_and_a_wrong_one_is_refused(page: Page, server: RunningServer) -> None:
    opened(page, server)
    assert page.wait_for("[...document.querySelectorAll('#device-0 option')].some(e => e.value == 'fake')")
    before = page.evaluate("state.models[0].version")
    page.evaluate("document.querySelector('#device-0').form.requestSubmit()")
    page.wait_for(f"state.models[0].version == {before + 1}")
    refused = server.post("/live/settings", {"model": "small", "device": "tpu9"})
    assert refused.status in (400, 503)
    assert "tpu9" in refused.json["error"]
    assert server.get("/v2/health/ready").status == 200


def test_it_loads_nothing_from_elsewhere_and_runs_no_script_of_another(page: Page, server: RunningServer) -> None:
    answer = server.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(rb"(?:src|href)=\"?https?:|@import|url\(", answer.body)
    opened(page, server)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.evil = 1\">')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'}))"
    )
    assert page.evaluate("window.evil") is None
    assert any("Content Security Policy" in fault for fault in page.faults)


def test_a_label_that_is_html_is_shown_as_text(page: Page, tmp_path: Path) -> None:
    labels = ("<img src=x onerror=alert(1)>", "b", "c")
    bundle = write_small_bundle(tmp_path / "small.linnet", labels=labels)
    with serving(bundle, "--device", "fake", "--source", "synthetic:") as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for("document.querySelectorAll('.bars li').length == 3")
        assert page.evaluate("document.querySelectorAll('.bars img').length") == 0
        assert page.faults == []


def test_the_token_is_asked_for(page: Page, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small.linnet")
    (tmp_path / "token").write_text("secret")
    with serving(bundle, "--device", "fake", "--source", "synthetic:", "--token-file", tmp_path / "token") as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for("!document.querySelector('#login').hidden && document.activeElement.id == 'token'")
        enter = "document.querySelector('#token').value = {}; document.querySelector('#login-form').requestSubmit()"
        page.evaluate(enter.format("'wrong'"))
        page.wait_for("document.querySelector('#login-note').textContent")
        page.evaluate(enter.format("'secret'"))
        page.wait_for("document.querySelectorAll('.bars li').length == 3")
        assert page.evaluate("document.querySelector('#login').hidden")


def test_a_server_that_has_gone_is_said(page: Page, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small.linnet")
    with serving(bundle, "--device", "fake", "--source", "synthetic:") as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for("document.querySelectorAll('.bars li').length == 3")
        status, output, errors = server.end()
        assert (status, errors) == (0, "")
        assert json.loads(output)["summary"]["cameras"]["frames_classified"] > 0
        page.wait_for("document.querySelector('#health').textContent.includes('The server does not answer')")


def test_without_a_camera_a_picture_can_be_labelled(page: Page, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small.linnet")
    with serving(bundle, "--device", "fake") as server:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for("document.querySelector('#health').textContent.includes('No camera is configured')")
        assert page.evaluate("document.querySelector('#cameras-section').hidden")
        page.evaluate(
            "(async () => { const canvas = new OffscreenCanvas(12, 12); canvas.getContext('2d');"
            "const files = new DataTransfer(); files.items.add(new File([await canvas.convertToBlob()], 'a.png'));"
            "document.querySelector('#try-file').files = files.files;"
            "document.querySelector('#try').requestSubmit() })()"
        )
        page.wait_for("document.querySelectorAll('#try-answer .bars li').length == 3")
