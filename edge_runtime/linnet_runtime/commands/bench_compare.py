"""``linnet bench --compare``. Internal."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress

from linnet_runtime.bench.compare import Comparison, ratio_of, run_rounds
from linnet_runtime.bench.compare_round import Round, RoundJob
from linnet_runtime.bench.conditions import Watch
from linnet_runtime.bench.results import VERSION
from linnet_runtime.bundle import open_bundle
from linnet_runtime.machine import engine_versions, host
from linnet_runtime.sessions import PrecisionChoice, choose_precision


def compare_bundles(
    bundles: tuple[Path, Path],
    device: str,
    precision: PrecisionChoice | None,
    threads: int | None,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    """Measures and prints the ratio. When it is stopped, it prints that of the rounds so far.

    The default is one thread: on a busy machine threads wait for each other, which makes the interval of the ratio much
    wider.

    Raises:
        LinnetError: a bundle is damaged or could not be run.
    """
    if "," in device:
        raise click.UsageError(f"--device: got {device}, expected one device with --compare")
    threads = threads or 1
    first, second = (choose_precision(open_bundle(bundle), precision) for bundle in bundles)
    job = RoundJob((str(bundles[0]), str(bundles[1])), (first, second), device, threads, 0.0)
    console = Console(stderr=True)
    rounds: list[Round] = []
    watch, interrupted = Watch(), True
    try:
        with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
            task = progress.add_task("compare", total=None)
            for found in run_rounds(job, quick=quick):
                rounds.append(found)
                progress.update(task, description=f"round {len(rounds)}, ratio {_words(rounds)}")
        interrupted = False
    finally:
        conditions = watch.stop()
        if rounds:
            _show(
                Comparison(
                    version=VERSION,
                    interrupted=interrupted,
                    host=host() | {"versions": engine_versions()},
                    bundles=job.bundles,
                    devices=rounds[0].devices,
                    precisions=job.precisions,
                    threads=threads,
                    ratio=ratio_of([found.ratio for found in rounds]),
                    rounds=[found.ratio for found in rounds],
                    p50_ms=_median_ms(rounds),
                    conditions=conditions,
                ),
                as_json=as_json,
            )


def _median_ms(rounds: list[Round]) -> tuple[float, float]:
    first, second = np.median([found.p50 for found in rounds], axis=0)
    return float(first), float(second)


def _show(found: Comparison, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for bundle, device, ms in zip(found.bundles, found.devices, found.p50_ms, strict=True):
        click.echo(f"{bundle}: {ms:.3f} ms on {device}")
    ratio = found.ratio
    interval = "no interval yet" if ratio.low is None else f"95 % interval {ratio.low:.3f} to {ratio.high:.3f}"
    click.echo(f"ratio of the medians: {ratio.p50:.3f}, {interval}, {len(found.rounds)} rounds")


def _words(rounds: list[Round]) -> str:
    return f"{ratio_of([found.ratio for found in rounds]).p50:.3f}"
