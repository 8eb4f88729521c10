"""The price of augmentation: a training step with each kind of it against one without, on the same batch.

    python benchmarks/augment_step.py

Forward, backward and update of MobileNetV2 as ``linnet train`` does them.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import numpy as np
from common import Row, median_ratio, report, time_side_by_side, training_arguments

from linnet_train.augment.settings import Augmentation
from linnet_train.data.dataset import Dataset
from linnet_train.models import build_model
from linnet_train.recipes.recipe import Recipe
from linnet_train.training.phases import phases_of
from linnet_train.training.precision import for_training
from linnet_train.training.trainer import build_trainer

CLASSES = 6
KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "upright": {"view": "upright"},
    "overhead": {"view": "overhead"},
    "flip": {"flip": "horizontal"},
    "crop, rotate, zoom, shift": {"crop": 0.5, "rotate": 15.0, "zoom": 0.1, "shift": 0.1},
    "brightness, contrast": {"brightness": 0.1, "contrast": 0.2},
    "saturation, hue": {"saturation": 0.3, "hue": 0.1},
    "noise": {"noise": 0.05},
    "blur": {"blur": 1.0},
    "erase": {"erase": 0.5},
    "randaugment": {"randaugment": 2},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
}


def main() -> None:
    args = training_arguments(__doc__, rounds=10).parse_args()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (args.batch_size, args.size, args.size, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, args.batch_size)
    everything = np.arange(args.batch_size)
    names = tuple(map(str, everything))
    photos = Dataset(tuple("abcdef"), pixels, labels, names, {"train": everything, "val": everything}, {})
    steps = {}
    for name, settings in KINDS.items():
        augment = Augmentation(**{"view": "none", **settings})
        recipe = Recipe(data="", alpha=args.alpha, size=args.size, weights="none", augment=augment)
        phase = phases_of(recipe)[0]
        network = for_training(
            build_model("mobilenet_v2", classes=CLASSES, size=args.size, alpha=args.alpha, weights="none", dropout=0.2)
        )
        phase.prepare(network)
        trainer = build_trainer(recipe, phase, network, None, photos)
        steps[name] = partial(trainer.model.train_on_batch, pixels, labels)
    times = time_side_by_side(steps, args.rounds, args.repeats)
    rows: list[Row] = [
        {
            "augmentation": name,
            "ms a step": median(of_kind),
            "ms more": median(of_kind) - median(times["none"]),
            "times none": median_ratio(of_kind, times["none"]),
        }
        for name, of_kind in times.items()
    ]
    report({f"MobileNetV2 {args.alpha:g} at {args.size} px, batches of {args.batch_size}": rows}, args.out)


if __name__ == "__main__":
    main()
