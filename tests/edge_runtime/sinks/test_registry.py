"""Sinks by name: those of the table, and plug-ins as pip installs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks import SinkError, SinkSettings, Stream, open_sinks
from linnet_runtime.sinks.registry import ENTRY_POINT_GROUP, SINKS, load_plugin
from linnet_runtime.sinks.settings import JsonLinesSettings, LogSettings, MetricsSettings, SnapshotSettings
from linnet_runtime.testing.sink_conformance import sample_frame, sample_result, sample_stream
from plugins import install_distribution
from program import ROOT

GPIO = ROOT / "examples" / "gpio_sink"

_PLUGIN = """
class Recorder:
    name, pictures = "recorder", False
    def __init__(self, settings, stream):
        self.path = settings["path"]
    def write(self, item):
        with open(self.path, "a") as file:
            print(type(item).__name__, file=file)
        return True
    def close(self):
        pass

def broken(settings, stream):
    raise RuntimeError("no such line")

def half(settings, stream):
    return object()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the sinks ``recorder``, ``broken`` and ``half``."""
    site = tmp_path / "site"
    lines = [
        f"[{ENTRY_POINT_GROUP}]",
        "recorder = its_sinks:Recorder",
        "broken = its_sinks:broken",
        "half = its_sinks:half",
    ]
    install_distribution(site, "its-sinks", "1.0", "\n".join([*lines, ""]))
    (site / "its_sinks.py").write_text(_PLUGIN)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "its_sinks", raising=False)


def test_each_table_of_the_settings_is_a_sink_of_the_registry() -> None:
    assert {*SinkSettings.__struct_fields__} == {*SINKS, "sink"}


def test_importing_the_sinks_imports_no_optional_package() -> None:
    program = "import sys, linnet_runtime.sinks, linnet_runtime.sinks.settings\n"
    program += "print([name for name in ('paho', 'prometheus_client', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_all_sinks_of_a_configuration_receive_what_is_put(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    tables = SinkSettings(
        json_lines=JsonLinesSettings(),
        log=LogSettings(path=str(tmp_path / "log.jsonl")),
        snapshots=SnapshotSettings(folder=str(tmp_path / "snapshots")),
    )
    with open_sinks(tables, sample_stream()) as sinks:
        sinks.put(sample_result(1, "nut", 0.3, picture=sample_frame()))
        sinks.put(Event("offline", 1.0, "belt"))
    delivered = {name: counters["delivered"] for name, counters in sinks.summary().items()}
    assert delivered == {"json_lines": 2, "log": 2, "snapshots": 1}
    assert (tmp_path / "log.jsonl").read_bytes() == capfdbinary.readouterr().out


def test_a_clock_that_is_set_back_an_hour_changes_no_order_and_loses_nothing(tmp_path: Path) -> None:
    """Files are told apart by numbers, queues by arrival: only what an item says of its time differs."""
    tables = SinkSettings(
        log=LogSettings(path=str(tmp_path / "log.jsonl"), max_mb=0.0005, files=100),
        snapshots=SnapshotSettings(folder=str(tmp_path / "snapshots"), max_files=2),
    )
    now = 1_700_000_000.0
    with open_sinks(tables, Stream(live=False)) as sinks:
        for number, at in enumerate([now, now + 1, now - 3600, now - 3599, now - 3598] * 4):
            frame = replace(sample_frame(number), captured_at=at)
            sinks.put(Event("change", at, label="nut", previous="bolt", frame=frame, reason=str(number)))
    assert [counters["delivered"] for counters in sinks.summary().values()] == [20, 20]
    files = sorted(tmp_path.glob("log*.jsonl"), key=lambda path: -int(path.stem.partition(".")[2] or 0))
    assert len(files) > 2
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert [line["reason"] for line in lines] == [str(number) for number in range(20)]
    pictures = sorted(path.name[:8] for path in (tmp_path / "snapshots").glob("*/*"))
    assert pictures == ["00000019", "00000020"]


def test_where_one_sink_cannot_be_opened_the_others_are_closed(tmp_path: Path) -> None:
    tables = SinkSettings(
        json_lines=JsonLinesSettings(), metrics=MetricsSettings(port=1, host="192.0.2.1"), sink={"gpio": {}}
    )
    with pytest.raises(SinkError, match="metrics at"):
        open_sinks(tables, Stream())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("linnet-sink")]


@pytest.mark.usefixtures("plugin")
def test_a_plugin_is_a_sink_like_any_other(tmp_path: Path) -> None:
    with open_sinks(SinkSettings(sink={"recorder": {"path": str(tmp_path / "seen")}}), Stream()) as sinks:
        sinks.put(sample_result())
        sinks.put(Event("enter", 1.0))
    assert (tmp_path / "seen").read_text().split() == [Result.__name__, Event.__name__]
    assert sinks.summary() == {"recorder": {"delivered": 2, "dropped": 0, "failed": 0}}


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("recordr", r"\[sink.recordr\]: got no plug-in of that name, expected one of .*Fix: \[sink.recorder\]"),
        ("mqt", r"Fix: \[mqtt\]"),  # it is one of the table
        ("broken", "plug-in sink broken .*RuntimeError: no such line"),
        ("half", "got a sink without name, pictures, write, close"),
        ("recorder", "KeyError"),
    ],
)
def test_a_plugin_that_is_not_there_or_fails_is_one_line(name: str, words: str) -> None:
    with pytest.raises(SinkError, match=words) as raised:
        load_plugin(name, {}, Stream())
    assert "\n" not in str(raised.value)


def test_the_examples_plugin_passes_the_conformance_suite(tmp_path: Path) -> None:
    """As installed: its module and its entry point; the chip is simulated."""
    site = tmp_path / "site"
    install_distribution(site, "linnet-gpio", "1.0", f"[{ENTRY_POINT_GROUP}]\ngpio = linnet_gpio:Gpio\n")
    shutil.copy(GPIO / "linnet_gpio.py", site)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, "-o", f"pythonpath={site}", str(shutil.copy(GPIO / "test_gpio.py", tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_the_examples_line_is_high_while_its_label_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(GPIO)
    gpio = __import__("linnet_gpio").Gpio({"chip": "simulated", "line": 4, "label": "nut"}, sample_stream())
    for label in ("bolt", "nut", "nut", "washer", "nut"):
        gpio.write(sample_result(1, label))
    gpio.close()
    assert capsys.readouterr().out.split("\n")[:-1] == [
        f"simulated: line 4 is {level}" for level in ("high", "low", "high", "low")
    ]


@pytest.mark.parametrize("settings", [{"line": 4}, {"label": "nut"}, {"line": "4", "label": "nut"}])
def test_a_mistake_in_the_examples_settings_is_one_line(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(GPIO)
    with pytest.raises(SinkError, match=r"\[sink.gpio\]"):
        __import__("linnet_gpio").Gpio({"chip": "simulated", **settings}, sample_stream())
