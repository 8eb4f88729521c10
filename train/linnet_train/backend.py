"""What computes: TensorFlow or JAX, as KERAS_BACKEND says, and on how many devices.

Keras is the same on both but for what stands here: who compiles a step, and who can share it among devices.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import Any

from linnet_runtime.owned_directory import temporary_folder
from linnet_train.errors import TrainingError


def choose_backend() -> None:
    """Before Keras is imported: what KERAS_BACKEND says, or JAX where TensorFlow is not installed.

    Raises:
        TrainingError: KERAS_BACKEND is neither of the two.
        LinnetError: there is no folder for temporary files, without which TensorFlow cannot be imported.
    """
    temporary_folder()
    if "KERAS_BACKEND" not in os.environ and find_spec("tensorflow") is None and find_spec("jax") is not None:
        os.environ["KERAS_BACKEND"] = "jax"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in ("tensorflow", "jax"):
        raise TrainingError("KERAS_BACKEND", got=backend, expected="tensorflow or jax")
    if backend == "jax":
        sys.meta_path.insert(0, _NoTensorFlow())


class _NoTensorFlow(MetaPathFinder):
    """Keras on JAX would import TensorFlow where it finds it: seconds, and with a GPU all of that one's memory."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "tensorflow":
            raise ModuleNotFoundError("KERAS_BACKEND is jax", name=fullname)


def uses_xla() -> bool:
    """Whether XLA compiles the training step.

    On a CPU TensorFlow's own kernels are six to nine times as fast, so that there it is for GPUs alone. JAX has no
    other compiler, and without one it computes a step operation by operation.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def device_count(asked: int | None, batch_size: int) -> int:
    """How many devices share each batch.

    Args:
        asked: so many; None: all that JAX sees, which CUDA_VISIBLE_DEVICES limits. TensorFlow uses one.
        batch_size: photos in a step, on all devices together.

    Raises:
        TrainingError: more than there are, or a batch that they cannot share evenly.
    """
    import keras

    on_jax = keras.backend.backend() == "jax"
    here = len(keras.distribution.list_devices()) if on_jax else 1
    count = here if asked is None else asked
    if count > here:
        fix = None if on_jax else "KERAS_BACKEND=jax shares a batch among GPUs"
        raise TrainingError("--devices", got=count, expected=f"at most {here}, which are here", fix=fix)
    if batch_size % count:
        nearest = max(round(batch_size / count), 1) * count
        raise TrainingError(
            "--batch-size",
            got=batch_size,
            expected=f"a multiple of {count}, the devices that share a batch",
            fix=f"--batch-size {nearest}, or --devices 1",
        )
    return count


@contextlib.contextmanager
def shared_among(devices: int) -> Iterator[None]:
    """Models made in the block have their weights on each of so many devices, which share every batch among them.

    A step is the one that a single device would do: JAX computes losses, batch statistics and ranges over the whole
    batch, wherever its photos are.
    """
    if devices == 1:
        yield
        return
    with _data_parallel(devices).scope():
        yield


def _data_parallel(devices: int) -> Any:
    import keras

    class DataParallel(keras.distribution.DataParallel):
        """Keras's, but that a batch which the devices cannot share evenly goes to each of them whole."""

        def get_data_layout(self, data_shape: Any) -> Any:
            if data_shape[0] % devices == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    return DataParallel(devices=keras.distribution.list_devices()[:devices])


def validation_batch(most: int, photos: int) -> int:
    """A batch size for so many photos with which their batches, the last one too, are all shared or all whole.

    Keras lays out every batch as it does the first.
    """
    import keras

    distribution = keras.distribution.distribution()
    devices = 1 if distribution is None else distribution.num_model_replicas
    shared = most // devices * devices
    return shared if photos % devices == 0 else shared - 1
