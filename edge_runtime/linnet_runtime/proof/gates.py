"""The gates: how close a model has to be to the one that it was made from."""

from __future__ import annotations

from collections.abc import Iterable

from linnet_runtime.bundle import Parity
from linnet_runtime.proof.comparison import Comparison

# Each int8 engine rounds halves and biases in its own way, so agreement with fake quantization is a rate. Float engines
# differ in the last bits only.
LEAST_AGREEMENT = {"int8": 0.97, "float16": 0.99, "float32": 0.99}

# The largest difference of logits for 95 % of the photos, in steps of the output; 32 is an eighth of an int8 output's
# range. Trained networks measured 1 to 7 in int8 and 2 with half-precision weights; photos of unknown things 10 to 32.
# Without this gate, probabilities and thresholds on them could be wrong where every label is right.
MOST_STEPS = {"int8": 32.0, "float16": 8.0, "float32": 1.0}


def gate_words(max_drop: float | None = None) -> str:
    """The gates in words, for help texts and pages."""
    words = (
        f"the 95 % interval of the top-1 agreement reaches {_each(LEAST_AGREEMENT)}; the logits of 95 % of the photos "
        f"are off by at most {_each(MOST_STEPS)} steps (255ths) of the output's range"
    )
    if max_drop is not None:
        words += (
            f"; the lower end of the paired 95 % interval of the accuracy's difference is above -{max_drop:g} points"
        )
    return words


def _each(limits: dict[str, float]) -> str:
    return ", ".join(f"{limit:g} in {precision}" for precision, limit in limits.items())


def shortcomings(found: Comparison, precision: str, max_drop: float | None = None) -> tuple[str, ...]:
    """The gates that a comparison misses, each in words.

    Args:
        found: the comparison of a model with the one that it was made from.
        precision: the model's: "int8", "float16" or "float32".
        max_drop: the points of accuracy that the model may lose; None for no limit. The lower end of the paired
            interval must be above ``-max_drop``, so too few photos miss the gate.
    """
    return tuple(_shortcomings(found, precision, max_drop))


def _shortcomings(found: Comparison, precision: str, max_drop: float | None) -> Iterable[str]:
    agreement, steps = found.agreement, found.steps
    if agreement.high < LEAST_AGREEMENT[precision]:
        yield (
            f"agrees on {agreement.value:.4f} of {agreement.n} photos "
            f"(interval {agreement.low:.4f}..{agreement.high:.4f}, logits off by up to {steps.max * steps.step:.3g})"
        )
    if not steps.p95 <= MOST_STEPS[precision]:
        yield f"has logits off by {steps.p95:.3g} output steps at the 95th percentile of {agreement.n} photos"
    if max_drop is not None:
        yield from drops(found, max_drop)


def drops(found: Comparison, max_drop: float) -> Iterable[str]:
    """The gate ``max_drop`` alone; see ``shortcomings``."""
    if found.difference is None:
        yield "has no accuracy to compare: the photos have no labels"
    elif found.difference.low * 100 <= -max_drop:
        difference = found.difference
        yield (
            f"changes accuracy by {100 * difference.difference:+.2f} points "
            f"(interval {100 * difference.low:+.2f}..{100 * difference.high:+.2f}) on {difference.n} photos"
        )


def parity_of(found: Comparison) -> Parity:
    """The part of a comparison that a bundle's manifest keeps."""
    return Parity(
        reference=found.reference,
        n=found.agreement.n,
        agreement=found.agreement.value,
        agreement_low=found.agreement.low,
        agreement_high=found.agreement.high,
        max_abs_logit_diff=found.steps.max * found.steps.step,
        accuracy=found.accuracy.value if found.accuracy else None,
        reference_accuracy=found.reference_accuracy.value if found.reference_accuracy else None,
    )
