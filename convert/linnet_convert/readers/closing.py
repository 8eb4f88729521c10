"""What the readers share that close a model's open dimensions: the picture that they try it on, and the comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError

_RELATIVE, _ABSOLUTE = 1e-3, 1e-3  # engines choose other kernels for other shapes; half precision has 11 bits


def noise(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """A picture of noise in the type of an input: floats from -1 to 1, integers over their whole range."""
    rng = np.random.default_rng(0)
    if np.issubdtype(np.dtype(dtype), np.integer):
        limits = np.iinfo(np.dtype(dtype))
        return rng.integers(max(limits.min, -128), min(limits.max, 255), shape, endpoint=True).astype(dtype)
    return rng.uniform(-1, 1, shape).astype(dtype)


def check_closed(what: str, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Raises ConversionError where a model with its dimensions closed gives other outputs than the file itself."""
    first, second = (np.ravel(outputs).astype(np.float64) for outputs in (before, after))
    if first.shape != second.shape or not np.allclose(first, second, _RELATIVE, _ABSOLUTE, equal_nan=True):
        raise ConversionError(
            what, got="other outputs once its dimensions are closed", fix="export the model for pictures of one size"
        )


def sums_to_one(outputs: NDArray[Any]) -> bool:
    """Whether outputs [N, classes] are probabilities, whatever operator made them: none is negative, and each row adds
    up to one.
    """
    rows = np.asarray(outputs, np.float64)
    return bool((rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) < _ABSOLUTE).all())
