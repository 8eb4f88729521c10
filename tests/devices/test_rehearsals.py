"""The fault kit's delegate under ``linnet run``: loaded as a real one, it fails in a stream, and the CPU continues."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from linnet_devices.testing.faults import device_name
from program import PATIENCE_S, linnet

FRAMES = 30
AFTER = 20  # inferences; opening takes nine of them, a blank picture and the canaries


@pytest.mark.parametrize(
    ("options", "limits", "what"),
    [
        ({"fault": "absent"}, {}, "absent"),
        ({"fault": "abort", "after": AFTER}, {}, "crash"),
        ({"fault": "hang", "after": AFTER}, {"--deadline-ms": 4000}, "hang"),
        ({"fault": "invoke", "after": AFTER}, {}, "error"),
        ({"fault": "garbage", "after": AFTER}, {"--canary-every": 15}, "wrong answers"),
        ({"fault": "slow", "after": AFTER, "ms": 1600}, {"--deadline-ms": 3000}, "slow"),
    ],
    ids=["absent", "abort", "hang", "invoke", "garbage", "slow"],
)
def test_a_stream_outlives_each_fault_of_the_kit(
    options: dict[str, str | int], limits: dict[str, int], what: str, fault_library: Path, bundle_folder: Path
) -> None:
    """Every frame has its line, in order; the event says what happened, and which device continued."""
    device = device_name(fault_library, **options)
    flags = itertools.chain(*({"--deadline-ms": 1000 * PATIENCE_S} | limits).items())
    done = linnet(
        "run", bundle_folder, "--source", "synthetic:", "--frames", FRAMES, "--device", f"{device},cpu", *flags
    )
    *lines, last = map(json.loads, done.stdout.splitlines())
    frames = [line for line in lines if "frame" in line]
    summary = last["summary"]
    events = summary["events"]
    assert [frame["frame"] for frame in frames] == list(range(1, FRAMES + 1))
    assert {frame["device"] for frame in frames} == {"cpu:litert"} | ({device} if what != "absent" else set())
    assert (events[0]["device"], events[0]["what"]) == (device, what)
    assert events[0]["to"] == (None if what == "absent" else "cpu:litert")
    kinds = {line["event"] for line in lines if "event" in line}
    assert kinds >= (set() if what == "absent" else {"failover", "recalled"})
    assert sum(summary["frames_by_device"].values()) == FRAMES
    assert summary["frames_repeated"] == len(
        [event for event in events if event["what"] not in ("absent", "slow", "back")]
    )
