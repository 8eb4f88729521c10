"""A live run's configuration: a file, flags and --set over it, one line for a mistake, and the file they amount to."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linnet_runtime.cli import main
from linnet_runtime.live_config import LiveConfig, read_live_tables, to_file, to_live_config
from linnet_runtime.toml_settings import SettingsError, line_of, merge, to_toml
from program import linnet, one_line_error

WHOLE = """
device = "first,cpu"
threads = 2
canary_every = 100

[decision]
threshold = 0.5
agree = 3

[[camera]]
name = "gate"
source = "rtsp://camera/stream"
policy = "newest"
max_age_ms = 500
rotate = 90

[[camera.region]]
name = "left"
rectangle = [0, 0, 0.5, 1]

[[camera.region]]
name = "right"
polygon = [[0.5, 0], [1, 0], [1, 1]]

[camera.when]
motion = 0.01

[[camera]]
name = "belt"
source = "0"

[camera.decision]
threshold = 0.0
thresholds = {"a b" = 0.5, bolt = 0.25}

[mqtt]
url = "mqtt://broker"

[metrics]
port = 9100

[serve]
port = 8080

[sink.gpio]
pin = 17
"""


def config_of(text: str, folder: Path) -> LiveConfig:
    (folder / "camera.toml").write_text(text)
    return to_live_config(*read_live_tables(folder / "camera.toml"))


def test_a_file_has_devices_cameras_decisions_and_sinks(tmp_path: Path) -> None:
    config = config_of(WHOLE, tmp_path)
    gate, belt = config.camera
    assert (config.device, config.open_options().threads, config.limits().canary_frames) == ("first,cpu", 2, 100)
    assert (gate.name, gate.policy, gate.max_age_ms, gate.rotate) == ("gate", "newest", 500, 90)
    assert gate.region_names == ("left", "right")
    assert belt.region_names == ("",)
    assert gate.when.motion == 0.01
    assert config.mqtt is not None
    assert config.mqtt.url == "mqtt://broker"
    assert config.sink == {"gpio": {"pin": 17}}
    assert config.webhook is None


def test_a_cameras_decision_begins_with_that_of_all_cameras(tmp_path: Path) -> None:
    gate, belt = config_of(WHOLE, tmp_path).camera
    assert (gate.decision.threshold, gate.decision.agree) == (0.5, 3)
    assert (belt.decision.threshold, belt.decision.agree) == (0.0, 3)


@pytest.mark.parametrize("text", [WHOLE, '[[camera]]\nsource = "caf\u00e9 \\u0007\\\\ \\"\U0001f426"'])
def test_what_is_written_is_read_as_the_same(text: str, tmp_path: Path) -> None:
    config = config_of(text, tmp_path)
    again = config_of(to_file(config), tmp_path)
    assert again == msgspec.structs.replace(config, decision=again.decision)  # it is in each camera's
    assert again.camera == config.camera


# The text, and how the line of its mistake goes on after the file's name.
WRONG = {
    '\n[[camera]]\npolcy = "every"\nsource = "0"': "line 3: camera[0].polcy: got 'polcy', expected policy",
    '[[camera]]\nsource = "0"\npolicy = "evry"': "line 3: camera[0].policy: got 'evry', expected every",
    '[[camera]]\nsource = "0"\nmax_age_ms = 0': "line 3: camera[0].max_age_ms: got 0, expected float > 0",
    'threads = "2"': "line 1: threads: got '2', expected int",
    "[[camera]]\nname = 'gate'": "line 1: camera[0]: got Object missing required field `source`",
    "[mqtt]\nurl = 'mqtt://broker'\nretain = true": "line 3: mqtt.retain: got 'retain', expected ",
    "[[camera]]\nsource='0'\nregion = [{rectangle = [0.5, 0, 0.6, 1]}]": "line 3: camera[0].region[0].rectangle: got [",
    "[[camera]]\nsource='0'\n[[camera.region]]": "line 3: camera[0].region[0].rectangle and polygon: got neither, ",
    "[[camera]]\nsource = '0'\n\n[[camera]]\nsource = '1'\n": "line 1: camera[0].name: got 2 cameras with the name ''",
    "[camera]\nsource = '0'": "line 1: camera: got {'source': '0'}, expected array",
    "[[camera]]\nsource='0'\n[decision]\nthreshold = 3": "line 4: decision.threshold: got 3, expected float <= 1.0",
    "[[camera]]\nsource='0'\n[decision]\nallow = ['a']\ndeny = ['a']": "line 3: decision.allow and deny: got 'a' ",
    "[[camera]]\nsource='0'\nrotate = 45": "line 3: camera[0].rotate: got '45', expected one of 0, 180, 270, 90",
    "threads = 99999999999": "line 1: threads: got 99999999999, expected int <= 1024",
    "deadline_ms = inf": "line 1: deadline_ms: got inf, expected float <= 1",
    "[log]\npath = 'a.csv'\nmax_mb = inf": "line 3: log.max_mb: got inf, expected float <= 1",
    '[log]\npath = "a\\u0000.csv"': "line 2: log.path: got 'a\\x00.csv', expected no zero character",
    "[mqtt]\nurl='mqtt://a'\ndiscovery_prefix = 'a/#'": "line 3: mqtt.discovery_prefix: got 'a/#', expected str ",
    "[serve]\nport = 70000": "line 2: serve.port: got 70000, expected int <= 65535",
    "[serve]\nqueue = -1": "line 2: serve.queue: got -1, expected int >= 0",
    "[serve]\nmax_body_mb = inf": "line 2: serve.max_body_mb: got inf, expected float <= 1",
    "[serve]\ntimeout_s = 0": "line 2: serve.timeout_s: got 0, expected float > 0",
    "[decision]\nthreshold = 3": "line 2: decision.threshold: got 3, expected float <= 1.0",
}


@pytest.mark.parametrize(("text", "says"), WRONG.items(), ids=range(len(WRONG)))
def test_a_mistake_names_the_file_the_line_and_the_nearest_key(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        config_of(text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'camera.toml'}, {says}")


def test_a_mistake_of_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"camera\.toml: got .* \(at line 2, column 8\), expected a configuration"):
        config_of('device = "cpu"\npolicy oops', tmp_path)


def test_the_line_of_a_value_is_that_of_its_key() -> None:
    text = "a = 1\n\n[[t]]\nx = 1 # y = 3\n[[t]]\nx = [\n 1,\n 2,\n]\ny = 2\n"
    assert [line_of(text, path) for path in ("$.a", "$.t[0].x", "$.t[1]", "$.t[1].x", "$.t[1].y", "$.t[0].y")] == [
        *(1, 4, 5, 9, 10),
        None,
    ]


def test_tables_go_over_each_table_of_an_array() -> None:
    under = {"camera": [{"name": "gate", "when": {"motion": 0.1}}, {"name": "belt"}]}
    assert merge(under, {"camera": {"when": {"interval_s": 2}}}) == {
        "camera": [
            {"name": "gate", "when": {"motion": 0.1, "interval_s": 2}},
            {"name": "belt", "when": {"interval_s": 2}},
        ]
    }


@pytest.mark.parametrize(
    "tables",
    [
        {"a": '\x7f \x00 " \\ \n \U0001f426', "b": 1.5e-30, "c": float("inf"), "d": False, "e": []},
        {"with space": {"x": [[1, 2], [3, 4]], "y": {"z": "1"}}, "t": [{"u": [{"v": 1}, {}]}, {"u": []}]},
    ],
)
def test_toml_that_is_written_is_read_as_it_was(tables: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


# linnet run


def printed(*options: object) -> dict[str, Any]:
    return tomllib.loads(linnet("run", "--print-config", *options).stdout)


def test_the_flags_amount_to_a_file(tmp_path: Path) -> None:
    flags = ["--source", "synthetic:", "--device", "cpu:litert", "--policy", "every", "--max-age", 250, "--interval", 2]
    flags += ["--region", "0,0,0.5,1", "--region", "0.5,0,0.5,1", "--threshold", 0.4, "--mqtt", "mqtt://broker"]
    flags += ["--metrics", 9100, "--set", "camera.decision.agree=3", "--set", "log.path=a.jsonl", "--threads", 1]
    tables = printed(*flags)
    assert tables == {
        "device": "cpu:litert",
        "threads": 1,
        "camera": [
            {
                "source": "synthetic:",
                "policy": "every",
                "max_age_ms": 250,
                "region": [
                    {"name": "1", "rectangle": [0, 0, 0.5, 1]},
                    {"name": "2", "rectangle": [0.5, 0, 0.5, 1]},
                ],
                "when": {"interval_s": 2},
                "decision": {"threshold": 0.4, "agree": 3},
            }
        ],
        "mqtt": {"url": "mqtt://broker"},
        "metrics": {"port": 9100},
        "log": {"path": "a.jsonl"},
    }
    (tmp_path / "camera.toml").write_text(to_toml(tables))
    assert printed("--config", tmp_path / "camera.toml") == tables


def test_flags_go_over_the_file_for_every_camera(tmp_path: Path) -> None:
    (tmp_path / "camera.toml").write_text(WHOLE)
    tables = printed("--config", tmp_path / "camera.toml", "--threshold", 0.9, "--device", "cpu")
    assert tables["device"] == "cpu"
    assert [camera["decision"]["threshold"] for camera in tables["camera"]] == [0.9, 0.9]
    error = one_line_error(linnet("run", "--config", tmp_path / "camera.toml", "--source", "1", status=2))
    assert error.startswith(f"--source, but {tmp_path / 'camera.toml'} has 2 cameras")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--source rtps://camera/1", "--source: got 'rtps://camera/1', expected "),
        ("--source nowhere.mp4", "--source: got 'nowhere.mp4', which does not exist"),
        ("--source synthetic: --region 0.5,0,0.6,1", "Invalid value for '--region': "),
        ("--source synthetic: --set camera.polcy=every", "setting $.camera[0]: got 'polcy', expected policy"),
        ("--source synthetic: --set polcy", "--set polcy: got no setting, expected KEY=VALUE"),
        ("--source synthetic: --set decision.allow=['bot']", "decision.allow: got 'bot', expected a label "),
        ("--source synthetic: --max-age 0", "--max-age: got 0"),
        ("--config nowhere.toml", "nowhere.toml: got No such file or directory, expected a configuration"),
        ("--source synthetic: --watch --json", "--watch and --json, one of the two"),
        ("--source synthetic: --set sink.gpoi.pin=1", "[sink.gpoi]: got no plug-in of that name"),
    ],
)
def test_a_mistake_at_the_start_is_one_line_and_status_2(
    options: str, says: str, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(small_bundle), "--device", "fake", *options.split()]) == 2
    output, said = capsys.readouterr()
    assert output == ""
    (line,) = said.splitlines()
    assert line.startswith(f"error: {says}")


def test_a_configuration_runs_its_cameras(small_bundle: Path, tmp_path: Path) -> None:
    cameras = "".join(f'[[camera]]\nname = "{name}"\nsource = "synthetic:?frames=3"\n' for name in "ab")
    (tmp_path / "camera.toml").write_text(f'device = "fake"\n{cameras}')
    done = linnet("run", small_bundle, "--config", tmp_path / "camera.toml")
    *frames, summary = map(json.loads, done.stdout.splitlines())
    assert {frame["camera"] for frame in frames} == {"a", "b"}
    assert summary["summary"]["sinks"]["json_lines"]["delivered"] == 6
