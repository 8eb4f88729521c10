"""How much of what a GPU can do the input pipeline lets it do.

    python benchmarks/train_gpu.py                                      # with jax[cuda12] or jax[cuda13]
    python benchmarks/train_gpu.py --size 32 --batch-size 8 --steps 4   # on a CPU, to see that it runs

The float training step of ``linnet train`` on JAX: MobileNetV2 1.0 in bfloat16 with its augmentation. An epoch from the
memory map of photos, gathered, moved to the device and augmented there, takes turns with one of the same step on a
batch that lies in the device's memory, and with gathering alone. All devices that JAX sees share a batch.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import Row, arguments, report

from linnet_train.backend import choose_backend, device_count, shared_among

CLASSES = 10
AIM = 0.9
PIPELINE, HELD, GATHERED = "from the memory map", "held in the device's memory", "gathered alone, no step"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=224, help="height and width of the photos in pixels")
    parser.add_argument("--batch-size", type=int, default=256, help="photos in a step")
    parser.add_argument("--steps", type=int, default=50, help="steps of an epoch; each has photos of its own")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each, after one that compiles")
    parser.add_argument("--precision", default="bfloat16", help="float32, bfloat16 or float16")
    args = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    choose_backend()
    import jax

    devices = device_count(None, args.batch_size)
    with tempfile.TemporaryDirectory() as folder, shared_among(devices):
        times = time_epochs(args, Path(folder))
    photos = args.steps * args.batch_size
    rates = {name: [photos / seconds for seconds in epochs] for name, epochs in times.items()}
    rows: list[Row] = [
        {
            "photos": name,
            "a second": median(of_rounds),
            "of the held batch": median(a / b for a, b in zip(of_rounds, rates[HELD], strict=True)),
        }
        for name, of_rounds in rates.items()
    ]
    device = f"{devices} x {jax.devices()[0].device_kind} ({jax.default_backend()}, JAX {jax.__version__})"
    what = f"MobileNetV2 1.0 at {args.size} px, {args.precision}, batches of {args.batch_size}"
    report({f"{what}, on {device}; the aim is {AIM} of the held batch": rows}, args.out)


def time_epochs(args: Any, folder: Path) -> dict[str, list[float]]:
    """Seconds of an epoch for each round, by where its photos are from."""
    import keras

    from linnet_train.models import build_model
    from linnet_train.recipes.recipe import Recipe
    from linnet_train.training.batches import PhotoBatches
    from linnet_train.training.callbacks import LearningRate
    from linnet_train.training.checkpoint import Progress
    from linnet_train.training.phases import phases_of
    from linnet_train.training.precision import for_training
    from linnet_train.training.trainer import build_trainer

    class Clock(keras.callbacks.Callback):
        """The seconds of an epoch's steps; at its end Keras has waited for the device."""

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self._began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.seconds = time.perf_counter() - self._began

    class HeldBatch(keras.utils.PyDataset):
        """The same batch in every step, on the device already."""

        def __init__(self, batch: Any, steps: int) -> None:
            super().__init__()
            self._batch, self._steps = batch, steps

        def __len__(self) -> int:
            return self._steps

        def __getitem__(self, i: int) -> Any:
            return self._batch

    photos = random_photos(args, folder)
    recipe = Recipe(
        data="", alpha=1.0, size=args.size, weights="none", batch_size=args.batch_size, precision=args.precision
    )
    phase, *_ = phases_of(recipe)
    network = build_model("mobilenet_v2", classes=CLASSES, size=args.size, alpha=1.0)
    network = for_training(network, args.precision)
    phase.prepare(network)
    model = build_trainer(recipe, phase, network, None, photos).model
    pipeline = PhotoBatches(photos, "train", args.batch_size, recipe.seed, 0)
    held = HeldBatch(on_device(pipeline[0]), args.steps)
    clock, rate = Clock(), LearningRate(phase, args.steps, Progress())
    times: dict[str, list[float]] = {PIPELINE: [], HELD: [], GATHERED: []}
    for measured in (False, *[True] * args.rounds):
        seconds = {}
        for name, batches in ((PIPELINE, pipeline), (HELD, held)):
            model.fit(batches, epochs=1, shuffle=False, callbacks=[rate, clock], verbose=0)
            seconds[name] = clock.seconds
        began = time.perf_counter()
        for i in range(args.steps):
            pipeline[i]
        seconds[GATHERED] = time.perf_counter() - began
        for name, of_round in seconds.items():
            times[name] += [of_round] * measured
    return times


def random_photos(args: Any, folder: Path) -> Any:
    """A ``Dataset`` of noise in a memory map, all of it for training."""
    import numpy as np

    from linnet_train.data.dataset import Dataset

    rng, count = np.random.default_rng(0), args.steps * args.batch_size
    shape = (count, args.size, args.size, 3)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    for begin in range(0, count, args.batch_size):
        pixels[begin : begin + args.batch_size] = rng.integers(0, 256, (args.batch_size, *shape[1:]), np.uint8)
    return Dataset(
        classes=tuple(map(str, range(CLASSES))),
        pixels=pixels,
        labels=rng.integers(0, CLASSES, count),
        names=(),
        parts={"train": np.arange(count)},
        unreadable={},
    )


def on_device(batch: Any) -> Any:
    """Where a training step would have it, shared among the devices."""
    import jax
    import keras

    distribution = keras.distribution.distribution()
    if distribution is None:
        return jax.device_put(batch)
    return tuple(jax.device_put(a, distribution.get_data_layout(a.shape).backend_layout) for a in batch)


if __name__ == "__main__":
    main()
