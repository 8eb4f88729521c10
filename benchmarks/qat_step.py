"""The price of quantisation in the loop: its training step against the float one, on the same batch.

    python benchmarks/qat_step.py

Forward, backward and update of MobileNetV2 in the phases of ``linnet train``, without the augmentation, which costs
all of them the same.
"""

from __future__ import annotations

from functools import partial
from statistics import median

import keras
import numpy as np
from common import Row, median_ratio, report, time_side_by_side, training_arguments
from numpy.typing import NDArray

from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize
from linnet_train.recipes.recipe import Recipe
from linnet_train.training.phases import Phase, phases_of
from linnet_train.training.precision import for_training

CLASSES = 6


def main() -> None:
    args = training_arguments(__doc__, rounds=15).parse_args()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (args.batch_size, args.size, args.size, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, args.batch_size)
    network = build_model(
        "mobilenet_v2", classes=CLASSES, size=args.size, alpha=args.alpha, weights="none", dropout=0.2
    )
    phases = phases_of(Recipe(data="", alpha=args.alpha, size=args.size, weights="none"))
    trainers = {phase.name: trainer(network, phase, pixels) for phase in phases}
    steps = {name: partial(model.train_on_batch, pixels, labels) for name, model in trainers.items()}
    times = time_side_by_side(steps, args.rounds, args.repeats)
    rows: list[Row] = [
        {
            "phase": name,
            "ms a step": median(of_phase),
            "photos a second": args.batch_size / median(of_phase) * 1e3,
            "times float": median_ratio(of_phase, times[phases[0].name]),
        }
        for name, of_phase in times.items()
    ]
    report({f"MobileNetV2 {args.alpha:g} at {args.size} px, batches of {args.batch_size}": rows}, args.out)


def trainer(network: keras.Model, phase: Phase, pixels: NDArray[np.uint8]) -> keras.Model:
    """The network as a phase trains it, compiled."""
    model = network
    if phase.quantized:
        model = quantize(network)
        calibrate(model, pixels)
    model = for_training(model)
    phase.prepare(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.AdamW(phase.learning_rate), loss=loss, jit_compile=False)
    return model


if __name__ == "__main__":
    main()
