"""``linnet bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from linnet_runtime.bench import timing
from linnet_runtime.bench.results import Scope
from linnet_runtime.commands.bench_compare import compare_bundles
from linnet_runtime.commands.bench_report import report
from linnet_runtime.commands.bench_rows import Asked, bench_rows
from linnet_runtime.commands.options import data_option, json_option, precision_option, threads_option
from linnet_runtime.sessions import PrecisionChoice

_SCOPES: tuple[Scope, ...] = ("invoke", "frame", "live")


class _Bench(click.Command):
    """``linnet bench BUNDLE``, and ``linnet bench report FILE...``. A bundle named ``report`` is ``./report``."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["report"]:
            return report.make_context(f"{info_name} report", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def _scopes(_ctx: click.Context, _option: click.Parameter, text: str) -> list[Scope]:
    wanted = [part.strip() for part in text.split(",")]
    if unknown := [part for part in wanted if part not in _SCOPES]:
        raise click.UsageError(f"--scope: got {', '.join(unknown)!r}, expected one or more of {', '.join(_SCOPES)}")
    return [scope for scope in _SCOPES if scope in wanted]


def _share(_ctx: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """``5%`` or ``5`` as 0.05."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 10:
        raise click.UsageError(f"--fail-over: got {text!r}, expected a percentage such as 5%")
    return share


@click.command(cls=_Bench)
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@data_option
@click.option("--device", default="cpu", show_default=True, help="One device or more: cpu:litert,cpu:openvino")
@precision_option
@threads_option
@click.option(
    "--scope",
    "scopes",
    default="invoke",
    show_default=True,
    callback=_scopes,
    help="What a latency includes, one or more: invoke (a tensor to its logits), frame (a decoded frame to its label, "
    "with the time of each stage), live (the capture of a frame to its result).",
)
@click.option("--quick", is_flag=True, help="Measure each row for one second.")
@click.option(
    "--profile",
    type=click.Choice(["mlperf"]),
    help="Measure each row for at least 1,024 inferences and 60 s, as MLPerf does for a single stream.  [default: at "
    "least 1,024 inferences and 10 s]",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="BUNDLE BUNDLE",
    help="Alternate between two bundles on one device, and report the ratio of their latencies. It works on a busy "
    "machine too. An engine on the CPU uses one thread unless --threads is given.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="Report the change of each row's p50 since this older output of --json, from the same machine.",
)
@click.option(
    "--fail-over",
    metavar="PERCENT",
    callback=_share,
    help="Exit with status 1 if a row's p50 is more than this above the baseline's, and the interval of the ratio is "
    "above 1.",
)
@click.option("--other-machine", is_flag=True, help="Accept a baseline from another machine.")
@click.option("--page", type=click.Path(path_type=Path), help="Write an HTML page with curves.")
@json_option
def bench(
    bundle: Path | None,
    data: Path | None,
    device: str,
    precision: PrecisionChoice | None,
    threads: int | None,
    scopes: list[Scope],
    quick: bool,
    profile: str | None,
    compare: tuple[Path, Path] | None,
    baseline: Path | None,
    fail_over: float | None,
    other_machine: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Measure a bundle on devices: latency with its percentiles, load time, memory and, with --data, accuracy.

    Each row is measured in a separate process, until its p90 is steady or three times the shortest time has passed. A
    row is measured once more if other programs have disturbed it.

    linnet bench report FILE... merges several outputs of --json into one table or page.
    """
    if quick and profile:
        raise click.UsageError("--quick: got --profile too, expected one of them")
    if fail_over is not None and baseline is None:
        raise click.UsageError("--fail-over: got no --baseline, expected --baseline FILE")
    if (bundle is None) == (compare is None):
        got = "a bundle and --compare" if compare else "no bundle"
        raise click.UsageError(f"linnet bench: got {got}, expected BUNDLE or --compare BUNDLE BUNDLE")
    if compare is not None:
        if data or profile or baseline or page or scopes != ["invoke"]:
            expected = "--compare alone, or with --device, --precision, --threads and --quick"
            raise click.UsageError(f"--compare: got another option, expected {expected}")
        compare_bundles(compare, device, precision, threads, quick=quick, as_json=as_json)
    elif bundle is not None:
        length = timing.QUICK if quick else timing.MLPERF if profile else timing.DEFAULT
        asked = Asked(bundle, data, device, precision, threads, scopes, length)
        bench_rows(asked, baseline, fail_over, other_machine=other_machine, page=page, as_json=as_json)
