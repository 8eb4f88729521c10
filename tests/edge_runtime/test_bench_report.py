"""What is made of the benchmark's JSON: the schema, the baseline, merged tables and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linnet_devices.api import LinnetError
from linnet_runtime.bench.baseline import check_same_machine, compare_rows
from linnet_runtime.bench.conditions import Watch, read_state
from linnet_runtime.bench.latency import Interval, Latency
from linnet_runtime.bench.merge import markdown_of, pareto_front, rows_of
from linnet_runtime.bench.page import render_bench
from linnet_runtime.bench.results import VERSION, Accuracy, FailedRow, Report, Row, json_schema, read_report
from linnet_runtime.bench.timing import Window
from linnet_runtime.cli import main
from program import ROOT, linnet, one_line_error

HOST = {"machine": "aarch64", "processor": "Raspberry Pi 5", "cores": 4, "system": "Linux 6.12"}


def row(device: str = "cpu:litert", p50: float = 2.0, half_width: float = 0.01, **changes: Any) -> Row:
    """A row whose p50 has an interval of that relative half width."""
    latency = Latency(p50, p50, p50, p50, p50, p50, p50, p50, 0.0)
    interval = Interval(p50 / (1 + half_width), p50 * (1 + half_width))
    made = Row(
        device=device,
        artifact="model.int8.tflite",
        precision="int8",
        threads=None,
        scope="invoke",
        tier="hardware",
        state="warm",
        latency_ms=latency,
        latency_interval_ms={"p50": interval, "p90": interval},
        stages_ms=None,
        percentiles_ms=[p50] * 101,
        windows=[Window(0.0, 10, p50, p50), Window(1.0, 10, p50, p50)],
        steady=True,
        runs=20,
        throughput_fps=1000 / p50,
        load_ms=3.0,
        first_ms=2.0,
        peak_rss_mb=70.0,
        artifact_bytes=1000,
        artifact_sha256="0" * 64,
        pictures="noise",
        accuracy=None,
    )
    return msgspec.structs.replace(made, **changes)


def report(*rows: Row | FailedRow, host: dict[str, Any] = HOST, interrupted: bool = False) -> Report:
    return Report(
        version=VERSION,
        started_at="2026-01-01T00:00:00Z",
        interrupted=interrupted,
        profile="default",
        bundle="parts",
        host=host,
        results=list(rows),
    )


def write(path: Path, written: Report) -> Path:
    path.write_bytes(msgspec.json.encode(written))
    return path


def accuracy(top1: float) -> Accuracy:
    return Accuracy(top1, 1.0, 100, top1 - 0.05, top1 + 0.05)


BROKEN = FailedRow(device="npu", precision="int8", scope="invoke", error="npu: got no /dev/accel/accel0")


def test_the_documented_schema_is_that_of_the_program() -> None:
    assert json.loads((ROOT / "docs" / "bench.schema.json").read_text()) == json_schema()


def test_a_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = report(row(), BROKEN)
    assert read_report(write(tmp_path / "pi.json", written)) == written


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"no JSON", "JSON is malformed"),
        (b'{"results": []}', "missing required field"),
        (b"", "Input data was truncated"),
    ],
)
def test_another_file_is_one_line(content: bytes, got: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    done = linnet("bench", "report", tmp_path / "x.json", status=1)
    assert got in one_line_error(done)
    assert "expected what linnet bench --json prints, version 1" in one_line_error(done)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    later = msgspec.structs.replace(report(row()), version=2)
    with pytest.raises(LinnetError, match="got version 2"):
        read_report(write(tmp_path / "later.json", later))


class TestBaseline:
    def test_a_row_that_is_slower_for_certain_and_by_more_than_the_limit_fails(self) -> None:
        [change] = compare_rows([row(p50=2.0)], [row(p50=2.2)], 0.05)
        assert change.ratio == pytest.approx(1.1)
        assert change.low < 1.1 < change.high
        assert change.failed

    @pytest.mark.parametrize(
        ("p50", "half_width"),
        [
            (2.06, 0.01),  # slower for certain, and within the limit
            (2.2, 0.2),  # more than the limit, and perhaps by chance
            (1.5, 0.01),  # faster
        ],
    )
    def test_another_row_does_not(self, p50: float, half_width: float) -> None:
        [change] = compare_rows([row(p50=2.0, half_width=half_width)], [row(p50=p50, half_width=half_width)], 0.05)
        assert not change.failed

    def test_wider_intervals_find_larger_changes_only(self) -> None:
        narrow, wide = (compare_rows([row(half_width=w)], [row(half_width=w)], 0.05)[0] for w in (0.005, 0.1))
        assert 1.05 < narrow.detectable < 1.07
        assert wide.detectable > 1.15

    def test_rows_are_of_the_same_device_scope_precision_and_threads(self) -> None:
        others = [row(device="cpu:onnx"), row(scope="frame"), row(precision="float32"), row(threads=2)]
        with pytest.raises(LinnetError, match="expected a row that was measured now"):
            compare_rows(others, [row()], 0.05)

    @pytest.mark.parametrize("key", ["machine", "processor", "cores"])
    def test_another_machine_is_refused(self, key: str) -> None:
        check_same_machine(report(), HOST | {"system": "Linux 6.13"})
        with pytest.raises(LinnetError, match="expected a measurement on this machine"):
            check_same_machine(report(), HOST | {key: 7})

    def test_the_program_refuses_it_unless_asked(
        self, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        baseline = write(tmp_path / "pi.json", report(row(device="fake", p50=1e-6)))
        arguments = ["bench", str(small_bundle), "--device", "fake", "--quick", "--baseline", str(baseline)]
        assert main(arguments) == 1
        assert "Fix: --other-machine" in capsys.readouterr().err
        assert main([*arguments, "--other-machine", "--fail-over", "5%", "--json"]) == 1
        output, errors = capsys.readouterr()
        [change] = json.loads(output)["baseline"]
        assert change["failed"]
        assert f"expected at most 5% slower than {baseline}" in errors
        assert main([*arguments, "--other-machine"]) == 0

    @pytest.mark.parametrize("text", ["much", "-1%", "1e9"])
    def test_a_limit_is_a_percentage(self, text: str, small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", str(small_bundle), "--baseline", "x.json", "--fail-over", text]) == 2
        assert f"--fail-over: got {text!r}, expected a percentage such as 5%" in capsys.readouterr().err


class TestMerged:
    def test_each_scope_is_a_table_with_the_fastest_first(self, tmp_path: Path) -> None:
        one = write(tmp_path / "pi5.json", report(row(p50=3.0), row("coral", p50=1.0), row(scope="frame"), BROKEN))
        other = write(tmp_path / "nuc.json", report(row(p50=2.0), interrupted=True))
        lines = linnet("bench", "report", one, other).stdout.splitlines()
        assert lines[0] == "**invoke**: a tensor to its logits"
        assert [line.split(" | ")[:2] for line in lines[4:7]] == [
            ["| pi5", "coral"],
            ["| nuc", "cpu:litert"],
            ["| pi5", "cpu:litert"],
        ]
        assert lines[8] == "**frame**: a decoded frame to its label"
        assert "- nuc was interrupted" in lines
        assert "- pi5 npu, invoke: not run: npu: got no /dev/accel/accel0" in lines
        assert "- nuc: parts on Raspberry Pi 5, 4 cores, Linux 6.12, profile default, 2026-01-01T00:00:00Z" in lines

    def test_a_simulator_has_no_latency_and_comes_last(self) -> None:
        untimed = {"latency_ms": None, "latency_interval_ms": None, "throughput_fps": None, "load_ms": None}
        simulated = row("tflm", tier="simulator", percentiles_ms=None, windows=[], **untimed)
        text = markdown_of({"": report(simulated, row())})
        assert [line.split(" | ")[0] for line in text.splitlines()[4:6]] == ["| cpu:litert", "| tflm"]
        assert "| simulated | - | - | - | - | - | 70 | - |" in text

    def test_the_pareto_front_has_the_rows_that_none_beats_in_both(self) -> None:
        found = rows_of(
            {
                "": report(
                    row("fast", 1.0, accuracy=accuracy(0.8)),
                    row("beaten", 2.0, accuracy=accuracy(0.8)),
                    row("slow", 3.0, accuracy=accuracy(0.9)),
                    row("unjudged", 0.1),
                )
            },
            "invoke",
        )
        assert [placed.row.device for placed in pareto_front(found)] == ["fast", "slow"]

    def test_the_page_is_one_file_that_loads_nothing(self, tmp_path: Path) -> None:
        rows = [row("cpu:litert", 1.0, accuracy=accuracy(0.8)), row("cpu:<onnx>", 2.0, accuracy=accuracy(0.9))]
        page = render_bench({"pi5": report(*rows, BROKEN), "nuc": report(row(), interrupted=True)})
        assert "cpu:&lt;onnx&gt;" in page
        assert "nuc was interrupted" in page
        assert "npu: got no /dev/accel/accel0" in page
        assert "Accuracy against latency" in page
        assert not any(word in page for word in ("<script", "<link", "http://", "https://", "url("))

    def test_bench_writes_its_page(self, small_bundle: Path, tmp_path: Path) -> None:
        linnet("bench", small_bundle, "--device", "fake", "--quick", "--page", tmp_path / "page.html")
        assert "<h1>Benchmark: small</h1>" in (tmp_path / "page.html").read_text()


class TestConditions:
    def machine(self, root: Path, *, mhz: int, celsius: int) -> Path:
        for core in ("cpu0", "cpu1"):
            folder = root / "sys/devices/system/cpu" / core / "cpufreq"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "scaling_cur_freq").write_text(f"{mhz * 1000}\n")
            (folder / "scaling_governor").write_text("ondemand\n")
        zone = root / "sys/class/thermal/thermal_zone0"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "type").write_text("cpu-thermal\n")
        (zone / "temp").write_text(f"{celsius * 1000}\n")
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc/stat").write_text("cpu  100 0 0 1000 0 0 0 0 0 0\ncpu0 100 0 0 1000 0 0 0 0 0 0\n")
        return root

    def test_the_state_has_the_clock_the_heat_and_the_governor(self, tmp_path: Path) -> None:
        state = read_state(self.machine(tmp_path, mhz=2400, celsius=55))
        assert (state.frequency_mhz, state.temperature_c, state.governor) == (2400.0, 55.0, "ondemand")

    def test_what_a_machine_does_not_have_is_null(self, tmp_path: Path) -> None:
        state = read_state(tmp_path)
        assert (state.frequency_mhz, state.temperature_c, state.governor) == (None, None, None)

    def test_a_clock_that_falls_is_throttling(self, tmp_path: Path) -> None:
        watch = Watch(self.machine(tmp_path, mhz=2400, celsius=55))
        self.machine(tmp_path, mhz=1500, celsius=84)
        found = watch.stop()
        assert found.throttled
        assert (found.lowest_frequency_mhz, found.highest_temperature_c) == (1500.0, 84.0)
        assert not found.noisy  # the counters of work stand still

    def test_the_work_of_others_is_noise(self, tmp_path: Path) -> None:
        watch = Watch(self.machine(tmp_path, mhz=2400, celsius=55))
        (tmp_path / "proc/stat").write_text("cpu  99999999 0 0 1000 0 0 0 0 0 0\n")
        found = watch.stop()
        assert found.noisy
        assert found.other_load > 1
        assert not found.throttled
