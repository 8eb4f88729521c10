"""``linnet baseline``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from linnet_runtime.commands.options import json_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.owned_directory import own_temporary_folder
from linnet_runtime.preprocess import Preprocess

if TYPE_CHECKING:
    from linnet_train.baseline.measure import Baseline

_SIDE = 128  # pixels


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the split.")
@json_option
@own_temporary_folder()
def baseline(data: Path, seed: int, as_json: bool) -> None:
    """Measure the accuracy of classical features on DATA, without a network, in a minute or two.

    A color histogram, local binary patterns, oriented gradients, Hu moments and a bag of SIFT words, each with logistic
    regression, a linear SVM and nearest neighbors, on the same split of the photos as linnet train with that seed. If a
    color histogram is nearly as good as your network, check your photos.
    """
    from linnet_train.baseline.measure import FEATURES, measure_baseline  # imports scikit-learn, which takes a while
    from linnet_train.data.dataset import load_dataset

    console = Console(stderr=True)
    with (
        TemporaryDirectory(prefix="linnet-baseline-") as folder,
        Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress,
    ):
        reading = progress.add_task("reading photos", total=None)
        photos = load_dataset(
            data,
            Preprocess(height=_SIDE, width=_SIDE),
            seed,
            Path(folder) / "pixels.npy",
            lambda done, total: progress.update(reading, completed=done, total=total),
        )
        task = progress.add_task("features", total=len(FEATURES))
        found = measure_baseline(photos, seed=seed, on_features=lambda _: progress.advance(task))
    for line in photos.left_out():
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        click.echo(msgspec.json.encode({"data": str(data), "seed": seed} | msgspec.to_builtins(found)))
        return
    print_table(_table(found))
    best = found.best
    click.echo(
        f"Best on the validation part: {best.features} with {best.classifier}, "
        f"top-1 {best.test.value:.4f} ({best.test.low:.3f}..{best.test.high:.3f}) on {best.test.n} test photos."
    )


def _table(found: Baseline) -> Table:
    table = plain_table("", ("features", "classifier"), ("validation", "test top-1", "95 %"))
    common = found.commonest
    table.add_row("none", "the commonest class", "", f"{common.value:.4f}", f"{common.low:.3f}..{common.high:.3f}")
    for row in found.rows:
        interval = f"{row.test.low:.3f}..{row.test.high:.3f}"
        table.add_row(row.features, row.classifier, f"{row.val:.4f}", f"{row.test.value:.4f}", interval)
    return table
