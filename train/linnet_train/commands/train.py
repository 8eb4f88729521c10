"""``linnet train``: a run from flags and recipes, with progress bars and the figures at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console
from rich.progress import Progress

from linnet_devices.chatter import no_chatter, quiet_tensorflow
from linnet_runtime.commands.options import Function, json_option, overwrite_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.crops import CROPS
from linnet_runtime.files.folders import refuse_existing
from linnet_runtime.files.owned_directory import own_temporary_folder
from linnet_runtime.photos.listing import list_photos
from linnet_runtime.run_files import CONFIG, FOLDS, METRICS, REPORT_PAGE
from linnet_runtime.toml_settings import merge, parse_setting
from linnet_train.backend import choose_backend
from linnet_train.errors import TrainingError
from linnet_train.recipes.reading import read_recipe, to_recipe
from linnet_train.recipes.recipe import Precision, Recipe

_DEFAULTS = msgspec.to_builtins(Recipe(data=""))
# Flags whose recipe key is in a table: the table and the key.
_TABLES = {
    "weight_decay": ("optimizer", "weight_decay"),
    "label_smoothing": ("loss", "label_smoothing"),
    "dropout": ("regularization", "dropout"),
    "augment": ("augment", "view"),
}


def _recipe_option(flag: str, kind: Any, help_text: str) -> Callable[[Function], Function]:
    key = flag[2:].replace("-", "_")
    table, inner = _TABLES.get(key, (None, key))
    default = (_DEFAULTS[table] if table else _DEFAULTS)[inner]
    return click.option(flag, type=kind, default=default, show_default=True, help=help_text)


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The run's directory.")
@click.option(
    "--folds", type=click.IntRange(min=3), help="Cross-validation: a run for each fold in OUT/fold-1 and so on."
)
@click.option("--resume", type=click.Path(path_type=Path), help="An interrupted run to continue.")
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path),
    help="A TOML file, or a run to repeat. Flags override it.  [docs/recipes.md]",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of the recipe that has no flag, such as optimizer.momentum=0.9. May be repeated.",
)
@_recipe_option("--model", str, "The network. linnet models lists them.")
@click.option(
    "--alpha", type=click.FloatRange(min=0, min_open=True), help="Width multiplier.  [default: the network's own]"
)
@click.option(
    "--size",
    type=click.IntRange(min=32),
    help="Height and width of the model's input in pixels.  [default: the network's own]",
)
@_recipe_option(
    "--crop",
    click.Choice(CROPS),
    "How photos are made square: cut from the center, stretched, or padded with a gray border.",
)
@_recipe_option(
    "--weights", str, "Initial weights: imagenet (a download), a .weights.h5, .keras or .safetensors file, or none."
)
@_recipe_option(
    "--head-epochs", click.IntRange(min=0), "Epochs that train only the head. Not used with --weights none."
)
@_recipe_option("--epochs", click.IntRange(min=1), "Epochs that train the whole network.")
@_recipe_option("--qat-epochs", click.IntRange(min=0), "Epochs of quantization-aware training. 0: calibration only.")
@_recipe_option("--batch-size", click.IntRange(min=1), "Photos per training step.")
@_recipe_option("--learning-rate", click.FloatRange(min=0, min_open=True), "Peak learning rate of float training.")
@_recipe_option(
    "--qat-learning-rate", click.FloatRange(min=0, min_open=True), "Peak learning rate of quantization-aware training."
)
@_recipe_option("--weight-decay", click.FloatRange(min=0), "Weight decay of the optimizer.")
@_recipe_option("--label-smoothing", click.FloatRange(min=0, max=0.9), "Label smoothing. 0: plain cross-entropy.")
@_recipe_option("--dropout", click.FloatRange(min=0, max=0.9), "Dropout rate before the classifier.")
@_recipe_option(
    "--augment",
    click.Choice(["upright", "overhead", "none"]),
    "Augmentation by camera view. overhead also rotates the photos.",
)
@_recipe_option(
    "--precision",
    click.Choice(get_args(Precision)),
    "Precision of float training. Quantization-aware training always uses float32.",
)
@_recipe_option(
    "--devices", click.IntRange(min=1), "Number of GPUs that share each batch.  [default: all that JAX finds]"
)
@_recipe_option(
    "--seed", click.IntRange(min=0), "Random seed of the split, the order of the photos and the initial weights."
)
@overwrite_option
@json_option
@own_temporary_folder()
def train(
    data: Path | None,
    out: Path | None,
    folds: int | None,
    resume: Path | None,
    recipe_path: Path | None,
    changes: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a network on DATA: a folder of photos for each class, or train/, val/ and test/ with such folders, or a CSV
    file with the columns path and label.

    The network is trained in float, then with quantization. The run's directory then has both models, the metrics on
    the test part and a report, and linnet convert makes a bundle of it. After ctrl-C, --resume continues the run.
    """
    given = _given(settings)
    # A resumed run has its recipe already: anything else that the user gave would have no effect.
    alone = data is recipe_path is out is None and folds is None and not overwrite and not given and not changes
    tables = _tables(data, recipe_path, given, changes)
    if folds is not None:
        tables = merge(tables, {"split": {"folds": folds, "fold": "each"}})
    if resume is not None and not alone:
        raise _usage("--resume with other arguments", f"linnet train --resume {resume}")
    if resume is None and "data" not in tables:
        raise _usage("no DATA", f"linnet train DATA --out {out or 'RUN'}")
    if resume is None and out is None:
        raise _usage("no --out", f"linnet train {tables['data'] if data is None else data} --out RUN")
    if out is not None:
        refuse_existing(out, overwrite=overwrite, marker=CONFIG)
    quiet_tensorflow()
    choose_backend()
    run, recipe, opened = _open_run(resume if out is None else out, tables, new=resume is None)
    train_run = _cross_validate if recipe.split.fold == "each" else _train_once
    try:
        with opened:
            train_run(recipe, run, Console(stderr=True), as_json=as_json)
    except KeyboardInterrupt as stop:
        stop.args = (f"To continue: linnet train --resume {run}",)
        raise


def _usage(got: str, fix: str) -> click.UsageError:
    return click.UsageError(f"linnet train: got {got}, expected DATA with --out RUN, or --resume RUN alone. Fix: {fix}")


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that the user gave, without the defaults."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in settings.items() if source(name) is not ParameterSource.DEFAULT}


def _open_run(
    path: Path | None, tables: dict[str, Any], *, new: bool
) -> tuple[Path, Recipe, contextlib.AbstractContextManager[None]]:
    """The run's directory, its recipe, and the context in which this process alone writes the run."""
    with no_chatter():  # imports Keras, which takes seconds and prints a page: --help needs neither
        from linnet_train.models import network_named
        from linnet_train.run import load_recipe, new_run
        from linnet_train.run_lock import locked
        from linnet_train.training.loop import check_recipe

    run = Path(str(path))
    if not new:
        return run, load_recipe(run), locked(run)
    network = network_named(tables.get("model", _DEFAULTS["model"]))
    recipe = to_recipe({"size": network.size, "alpha": network.alpha, **tables})
    if recipe.weights == "imagenet" or not Path(recipe.data).exists():
        list_photos(Path(recipe.data), recipe.split.group_column)  # its errors come before a download of weights
    check_recipe(recipe)
    return run, recipe, new_run(recipe, run)


def _train_once(recipe: Recipe, run: Path, console: Console, *, as_json: bool) -> None:
    metrics, photos = _watched(recipe, run, console)
    _warn(photos, console)
    if as_json:
        click.echo((run / METRICS).read_text())
    else:
        click.echo(
            f"{run}: top-1 on {metrics.splits['test']} test photos: float {metrics.float_model.top1:.4f}, "
            f"int8 {metrics.qat.top1:.4f}"
        )
        click.echo(f"Whether to trust that: {run / REPORT_PAGE}")


def _cross_validate(recipe: Recipe, out: Path, console: Console, *, as_json: bool) -> None:
    from linnet_train.folds import cross_validate

    def train_fold(of_fold: Recipe, run: Path) -> None:
        console.print(f"{run.name} of {recipe.split.folds}", highlight=False)
        _, photos = _watched(of_fold, run, console)
        if of_fold.split.fold == 1:
            _warn(photos, console)

    report = cross_validate(recipe, out, train_fold)
    if as_json:
        click.echo((out / FOLDS).read_text())
        return
    table = plain_table("", ("top-1",), ("test photos", "float", "int8"))
    for i, name in enumerate(report["folds"]):
        tops = (f"{report[model]['top1'][i]:.4f}" for model in ("float", "qat"))
        table.add_row(name, str(report["test_photos"][i]), *tops)
    both = [report[model] for model in ("float", "qat")]
    table.add_row("mean", str(sum(report["test_photos"])), *(f"{of_model['mean']:.4f}" for of_model in both))
    ends = [f"{of_model['low']:.4f}..{of_model['high']:.4f}" for of_model in both]
    table.add_row("95 % t-interval over the folds", "", *ends)
    print_table(table)
    difference = report["qat_minus_float"]
    click.echo(
        f"{out}: int8 minus float {100 * difference['mean']:+.2f} points, "
        f"95 % {100 * difference['low']:+.2f}..{100 * difference['high']:+.2f}"
    )


def _warn(photos: Any, console: Console) -> None:
    for line in photos.left_out():
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _tables(data: Path | None, recipe: Path | None, flags: dict[str, Any], changes: tuple[str, ...]) -> dict[str, Any]:
    """The recipe's file, overridden by the flags, and these by --set."""
    tables = read_recipe(recipe) if recipe is not None else {}
    for name, value in flags.items():
        table, key = _TABLES.get(name, (None, name))
        tables = merge(tables, {table: {key: value}} if table else {key: value})
    for change in changes:
        tables = merge(tables, parse_setting(change, error=TrainingError))
    return tables if data is None else {**tables, "data": os.path.realpath(data)}


def _watched(recipe: Recipe, run: Path, console: Console) -> Any:
    """Trains with progress bars and returns the metrics and the photos."""
    from linnet_train.run import finish_run
    from linnet_train.training.progress import PhaseProgress

    shown: list[PhaseProgress] = []

    def watch(phase: Any, steps: int) -> PhaseProgress:
        shown.append(PhaseProgress(console, phase, steps))
        return shown[-1]

    with Progress(console=console, disable=not console.is_terminal, transient=True) as reading:
        task = reading.add_task("reading photos")

        def on_photo(done: int, total: int) -> None:
            reading.update(task, completed=done, total=total)
            if done == total:
                reading.stop()

        try:
            return finish_run(recipe, run, on_photo, watch)
        finally:
            for progress in shown:
                progress.close()
