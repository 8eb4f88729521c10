"""How far one model's logits are from another's on the same photos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Parity
from linnet_runtime.statistics import wilson_interval

# Int8 engines round halves and biases each in their own way, so equality with fake quantisation is a rate; float
# engines differ in the last bits only.
LEAST_AGREEMENT = {"int8": 0.97, "float16": 0.99, "float32": 0.99}


def compare_logits(reference_name: str, reference: Logits, logits: Logits, labels: NDArray[np.int64] | None) -> Parity:
    """Compares logits float32 [N, classes] with a reference's on the same photos, whose true labels are int64 [N], or
    not known.
    """
    top1, reference_top1 = logits.argmax(axis=1), reference.argmax(axis=1)
    equal = int((top1 == reference_top1).sum())
    low, high = wilson_interval(equal, len(logits))
    return Parity(
        reference=reference_name,
        n=len(logits),
        agreement=equal / len(logits),
        agreement_low=low,
        agreement_high=high,
        max_abs_logit_diff=float(np.abs(logits - reference).max()),
        accuracy=None if labels is None else float((top1 == labels).mean()),
        reference_accuracy=None if labels is None else float((reference_top1 == labels).mean()),
    )


def agrees(parity: Parity, precision: str) -> bool:
    """Whether the agreement's 95 % interval reaches the least that the precision must have (``LEAST_AGREEMENT``)."""
    return parity.agreement_high >= LEAST_AGREEMENT[precision]
