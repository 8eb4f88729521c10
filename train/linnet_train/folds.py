"""Cross-validation: a run for each fold, and the mean over all folds. Internal.

fold-1, fold-2, ...   the runs; see run.py
folds.json            the top-1 of each fold, the mean and its interval
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from scipy.special import stdtrit

from linnet_runtime.run_files import CONFIG, FOLDS, METRICS, load_metrics, save_json
from linnet_train.recipes.recipe import Recipe
from linnet_train.run import new_run
from linnet_train.run_lock import locked

_UPPER = 0.975  # of a 95 % interval


def cross_validate(recipe: Recipe, out: Path, train: Callable[[Recipe, Path], object]) -> dict[str, Any]:
    """Trains each fold that is not done yet, and writes ``folds.json``.

    Args:
        recipe: a recipe with "each" as ``split.fold``.
        out: the directory of the folds.
        train: does what one run still needs.

    Returns:
        The content of ``folds.json``.
    """
    metrics = []
    for number in range(1, recipe.split.folds + 1):
        fold = out / f"fold-{number}"
        if not (fold / METRICS).exists():
            keras.utils.clear_session()  # removes the graphs and names of the previous fold
            split = msgspec.structs.replace(recipe.split, fold=number)
            _train(msgspec.structs.replace(recipe, split=split), fold, train)
        metrics.append(load_metrics(fold))
    tops = {
        "float": np.array([of_fold.float_model.top1 for of_fold in metrics]),
        "qat": np.array([of_fold.qat.top1 for of_fold in metrics]),
    }
    report = {
        "folds": [f"fold-{number}" for number in range(1, recipe.split.folds + 1)],
        "test_photos": [of_fold.splits["test"] for of_fold in metrics],
        **{model: {"top1": top.tolist(), **_share(interval(top))} for model, top in tops.items()},
        "qat_minus_float": interval(tops["qat"] - tops["float"]),
    }
    save_json(out / FOLDS, report)
    return report


def _train(recipe: Recipe, fold: Path, train: Callable[[Recipe, Path], object]) -> None:
    begun = (fold / CONFIG).exists()
    if not begun:
        shutil.rmtree(fold, ignore_errors=True)  # a process was killed before it wrote the recipe
    with locked(fold) if begun else new_run(recipe, fold):
        train(recipe, fold)


def _share(figures: dict[str, float]) -> dict[str, float]:
    """The interval of a share, limited to 0..1."""
    return {name: min(max(value, 0.0), 1.0) for name, value in figures.items()}


def interval(values: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """The mean of a figure over the folds, and its 95 % interval by Student's t with (folds - 1) degrees of freedom.

    The training parts of the folds overlap, so the figures are not independent, and no estimate of the variance is
    unbiased: Bengio and Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation" (2004).
    """
    mean = float(np.mean(values))
    half = float(stdtrit(len(values) - 1, _UPPER) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}
