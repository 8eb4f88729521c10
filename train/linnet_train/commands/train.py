"""``linnet train``."""

from __future__ import annotations

import contextlib
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
from linnet_runtime.files import refuse_existing
from linnet_runtime.owned_directory import own_temporary_folder
from linnet_runtime.photos import list_photos
from linnet_runtime.run_files import CONFIG, FOLDS, METRICS, REPORT_PAGE
from linnet_train.backend import choose_backend
from linnet_train.recipes.reading import merge, parse_setting, read_recipe, to_recipe
from linnet_train.recipes.recipe import Precision, Recipe

_DEFAULTS = msgspec.to_builtins(Recipe(data=""))
# The table and the key of the flags that stand for one.
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
@click.option("--resume", type=click.Path(path_type=Path), help="A run that was interrupted, to go on with.")
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path),
    help="A TOML file, or a run to repeat; flags go over it.  [docs/recipes.md]",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the recipe that has no flag, such as optimizer.momentum=0.9; may be repeated.",
)
@_recipe_option("--model", str, "The network; see linnet models.")
@click.option(
    "--alpha", type=click.FloatRange(min=0, min_open=True), help="Width multiplier.  [default: the network's own]"
)
@click.option(
    "--size",
    type=click.IntRange(min=32),
    help="Height and width of the model's input in pixels.  [default: the network's own]",
)
@_recipe_option("--crop", click.Choice(["centre", "stretch"]), "How a photo is made square.")
@_recipe_option("--weights", str, "imagenet (downloads), a .weights.h5, .keras or .safetensors file, or none.")
@_recipe_option("--head-epochs", click.IntRange(min=0), "Epochs of the head alone, where there are weights.")
@_recipe_option("--epochs", click.IntRange(min=1), "Epochs of the whole network.")
@_recipe_option("--qat-epochs", click.IntRange(min=0), "Epochs with quantization; 0 only calibrates.")
@_recipe_option("--batch-size", click.IntRange(min=1), "Photos in a training step.")
@_recipe_option("--learning-rate", click.FloatRange(min=0, min_open=True), "The highest one in float.")
@_recipe_option("--qat-learning-rate", click.FloatRange(min=0, min_open=True), "The highest one with quantization.")
@_recipe_option("--weight-decay", click.FloatRange(min=0), "The optimizer's.")
@_recipe_option("--label-smoothing", click.FloatRange(min=0, max=0.9), "0 is plain cross-entropy.")
@_recipe_option("--dropout", click.FloatRange(min=0, max=0.9), "Share of features that the head does not see.")
@_recipe_option(
    "--augment", click.Choice(["upright", "overhead", "none"]), "Vary the photos; overhead also turns them."
)
@_recipe_option(
    "--precision", click.Choice(get_args(Precision)), "Of the float phases; with quantization it is float32."
)
@_recipe_option("--devices", click.IntRange(min=1), "GPUs that share a batch.  [default: all that JAX sees]")
@_recipe_option("--seed", click.IntRange(min=0), "Of the split, the order and the first weights.")
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

    The network is trained in float, then with quantization in the loop. The run keeps the models, the metrics on the
    test part and a page about them; linnet convert takes it from there. Ctrl-C loses nothing: --resume goes on.
    """
    context = click.get_current_context()
    given = {
        name: value
        for name, value in settings.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    # A run that is resumed has its recipe; what is given beside it would go unheard.
    alone = data is recipe_path is out is None and folds is None and not overwrite and not given and not changes
    tables = _tables(data, recipe_path, given, changes)
    if folds is not None:
        tables = merge(tables, {"split": {"folds": folds, "fold": "each"}})
    if not (alone if resume is not None else "data" in tables and out is not None):
        raise click.UsageError("DATA with --out RUN, or --resume RUN alone")
    if out is not None:
        refuse_existing(out, overwrite=overwrite, marker=CONFIG)
    quiet_tensorflow()
    choose_backend()
    with no_chatter():  # imports Keras: seconds that --help need not take, and a page of greetings
        from linnet_train.models import network_named
        from linnet_train.run import finish_run, load_recipe, new_run
        from linnet_train.run_lock import locked
        from linnet_train.training.loop import check_recipe

    place: contextlib.AbstractContextManager[None]
    if resume is not None:
        run, recipe = resume, load_recipe(resume)
        place = locked(run)
    else:
        network = network_named(tables.get("model", _DEFAULTS["model"]))
        run, recipe = Path(str(out)), to_recipe({"size": network.size, "alpha": network.alpha, **tables})
        if not Path(recipe.data).exists():  # which is not worth a download of weights first
            list_photos(Path(recipe.data))
        check_recipe(recipe)
        place = new_run(recipe, run)
    console = Console(stderr=True)
    try:
        with place:
            if recipe.split.fold == "each":
                _cross_validate(recipe, run, finish_run, console, as_json=as_json)
                return
            metrics, photos = _watched(finish_run, recipe, run, console)
    except KeyboardInterrupt as stop:
        stop.args = (f"To go on: linnet train --resume {run}",)
        raise
    _warn(photos, console)
    if as_json:
        click.echo((run / METRICS).read_text())
    else:
        click.echo(
            f"{run}: top-1 on {metrics.splits['test']} test photos: float {metrics.float_model.top1:.4f}, "
            f"int8 {metrics.qat.top1:.4f}"
        )
        click.echo(f"Whether to trust that: {run / REPORT_PAGE}")


def _cross_validate(recipe: Recipe, out: Path, finish_run: Any, console: Console, *, as_json: bool) -> None:
    from linnet_train.folds import cross_validate

    def train_fold(of_fold: Recipe, run: Path) -> None:
        console.print(f"{run.name} of {recipe.split.folds}", highlight=False)
        _, photos = _watched(finish_run, of_fold, run, console)
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
    """What the file says, then the flags, then --set; the later ones win."""
    tables = read_recipe(recipe) if recipe is not None else {}
    for name, value in flags.items():
        table, key = _TABLES.get(name, (None, name))
        tables = merge(tables, {table: {key: value}} if table else {key: value})
    for change in changes:
        tables = merge(tables, parse_setting(change))
    return tables if data is None else {**tables, "data": str(data.resolve())}


def _watched(finish_run: Any, recipe: Recipe, run: Path, console: Console) -> Any:
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
