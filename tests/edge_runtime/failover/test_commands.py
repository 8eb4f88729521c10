"""``linnet classify``, ``run``, ``verify`` and ``bench`` on accelerators that fail."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from accelerators import Accelerators
from program import PATIENCE_S, linnet, one_line_error


def test_the_reason_why_the_only_device_fails_is_reported_once(
    accelerators: Accelerators, bundle_folder: Path, photos_folder: Path
) -> None:
    accelerators.fail("absent")
    photo = next(photos_folder.rglob("*.jpg"))
    line = one_line_error(linnet("classify", bundle_folder, photo, "--device", "first", status=1))
    assert line == "--device first: got first: no such board on the bus. Fix: plug it in"


def test_the_summary_lists_what_happened(accelerators: Accelerators, bundle_folder: Path) -> None:
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(bundle_folder), "--source", "synthetic:"]
    command += ["--device", "first,cpu", "--deadline-ms", "30000", "--frames", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        accelerators.fail("abort")
        rest, said = process.stdout.read(), process.stderr.read()
    *lines, last = map(json.loads, (first + rest).splitlines())
    frames = [line for line in lines if "frame" in line]
    recalled, failover = (line for line in lines if "event" in line and "frame" not in line)
    summary = last["summary"]
    assert process.returncode == 0
    assert {frame["device"] for frame in frames} == {"first", "cpu:litert"}
    assert summary["frames_by_device"]["first"] + summary["frames_by_device"]["cpu:litert"] == len(frames) == 8
    assert summary["frames_repeated"] == 1
    (event,) = summary["events"]
    assert set(event) == {"device", "what", "reason", "at", "to", "seconds", "frames", "since"}
    assert (recalled["event"], recalled["device"], recalled["frames"]) == ("recalled", "first", event["frames"])
    assert recalled["since"] == frames[0]["canary_passed_at"]
    assert (failover["event"], failover["device"]) == ("failover", "first")
    assert (event["device"], event["what"], event["to"]) == ("first", "crash", "cpu:litert")
    (line,) = said.splitlines()
    assert line.startswith("WARNING: cpu:litert continues after ")
    assert "its process was ended by SIGABRT" in line


def test_what_happened_to_a_device_while_the_run_was_opened_reaches_the_sinks_before_the_results(
    accelerators: Accelerators, small_bundle: Path
) -> None:
    accelerators.fail("absent")
    done = linnet("run", small_bundle, "--device", "first,fake", "--source", "synthetic:?frames=2")
    event, *frames, last = map(json.loads, done.stdout.splitlines())
    assert (event["event"], event["device"]) == ("failover", "first")
    assert event["reason"].startswith("absent: ")
    assert [frame["device"] for frame in frames] == ["fake", "fake"]
    assert [one["what"] for one in last["summary"]["events"]] == ["absent"]


def test_explain_tells_why_each_device_is_taken_or_not(accelerators: Accelerators, bundle_folder: Path) -> None:
    accelerators.fail("absent")
    done = linnet("run", bundle_folder, "--source", "synthetic:", "--frames", 1, "--device", "first,cpu", "--explain")
    ready, left_out, *_ = done.stderr.splitlines()  # on a slow machine it is tried again meanwhile
    assert left_out == "WARNING: first is left out (absent): first: no such board on the bus. Fix: plug it in"
    assert re.fullmatch(r"INFO: cpu is ready: canary off by 0 logits, [\d.]+ allowed, 0 labels changed", ready)


@pytest.mark.parametrize("option", [("--deadline-ms", 0), ("--canary-every", 0)])
def test_a_limit_of_nothing_is_a_mistake(option: tuple[str, int], small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--source", "synthetic:", *option, status=2)
    assert option[0] in one_line_error(done)


def test_ctrl_c_ends_the_run_with_its_summary_and_its_children(accelerators: Accelerators, bundle_folder: Path) -> None:
    """On a terminal ctrl-C goes to all processes of the group."""
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(bundle_folder), "--source", "synthetic:"]
    command += ["--device", "first", "--deadline-ms", "30000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (0, "")
    assert json.loads(rest.splitlines()[-1])["summary"]["events"] == []
    (child,) = accelerators.opened()
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize(
    ("fault", "how"),
    [("abort", "its process was ended by SIGABRT, after printing: F driver/usb.cc"), ("raise", "the firmware says no")],
)
@pytest.mark.parametrize("command", [("verify",), ("bench", "--quick")], ids=" ".join)
def test_an_accelerator_that_fails_is_one_line(
    command: tuple[str, ...], fault: str, how: str, accelerators: Accelerators, bundle_folder: Path
) -> None:
    """There too it runs in a separate process."""
    accelerators.fail(fault)
    done = linnet(command[0], bundle_folder, *command[1:], "--device", "first", status=1)
    assert how in one_line_error(done)


@pytest.mark.usefixtures("accelerators")
def test_verify_and_bench_say_which_device_made_each_row(bundle_folder: Path) -> None:
    verdicts = json.loads(linnet("verify", bundle_folder, "--device", "first", "--json").stdout)["artifacts"]
    assert [(row["device"], row["canary"]["passed"]) for row in verdicts] == [("first", True)] * 2
    device = "first,cpu:litert"
    rows = json.loads(linnet("bench", bundle_folder, "--device", device, "--quick", "--json").stdout)["results"]
    assert [row["device"] for row in rows] == ["first", "cpu:litert"]
    assert rows[0]["peak_rss_mb"] > rows[1]["peak_rss_mb"]  # of both of its processes
