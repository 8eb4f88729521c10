"""The backend of Keras, TensorFlow or JAX, and the number of devices that share a batch. Internal.

Keras is the same on both, except for what is in this module: who compiles a training step, and who can share it among
devices.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import Any

from linnet_devices.errors import Setting
from linnet_runtime.files.owned_directory import temporary_folder
from linnet_train.errors import TrainingError


def choose_backend() -> None:
    """Chooses the backend, before Keras is imported: KERAS_BACKEND decides. Without it the backend is TensorFlow, or
    JAX where TensorFlow is not installed.

    Raises:
        TrainingError: KERAS_BACKEND names another backend.
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
    """Hides TensorFlow. Keras on JAX would import it, which takes seconds and, on a GPU, all of the memory."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "tensorflow":
            raise ModuleNotFoundError("KERAS_BACKEND is jax", name=fullname)


def uses_xla() -> bool:
    """Whether XLA compiles the training step.

    On a CPU, TensorFlow's own kernels are six to nine times as fast, so TensorFlow uses XLA only on GPUs. JAX has no
    other compiler, and would compute a step operation by operation without it.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def device_count(asked: int | None, batch_size: int) -> int:
    """The number of devices that share each batch.

    Args:
        asked: the number that the recipe asks for. None: all devices that JAX sees, which CUDA_VISIBLE_DEVICES limits;
            TensorFlow uses one.
        batch_size: photos per step, on all devices together.

    Raises:
        TrainingError: more devices than are available, or a batch that they cannot share evenly.
    """
    import keras

    on_jax = keras.backend.backend() == "jax"
    available = len(keras.distribution.list_devices()) if on_jax else 1
    count = available if asked is None else asked
    if count > available:
        fix = None if on_jax else "KERAS_BACKEND=jax shares a batch among GPUs"
        raise TrainingError(Setting("devices"), got=count, expected=f"at most the {available} available", fix=fix)
    if batch_size % count:
        nearest = max(round(batch_size / count), 1) * count
        raise TrainingError(
            Setting("batch_size"),
            got=batch_size,
            expected=f"a multiple of {count}, the devices that share a batch",
            fix=(Setting("batch_size", nearest), Setting("devices", 1)),
        )
    return count


@contextlib.contextmanager
def shared_among(devices: int) -> Iterator[None]:
    """Models that are made in the block have their weights on every device, and the devices share each batch.

    A step gives what it gives on a single device: JAX computes the loss, the batch statistics and the ranges over the
    whole batch.
    """
    if devices == 1:
        yield
        return
    with _data_parallel(devices).scope():
        yield


def _data_parallel(devices: int) -> Any:
    import keras

    class DataParallel(keras.distribution.DataParallel):
        """Keras's DataParallel, except that each device gets the whole of a batch that cannot be shared evenly."""

        def get_data_layout(self, data_shape: Any) -> Any:
            if data_shape[0] % devices == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    return DataParallel(devices=keras.distribution.list_devices()[:devices])


def validation_batch(most: int, photos: int) -> int:
    """A batch size of at most ``most`` with which either all batches of the photos are shared, or none is.

    Keras lays out every batch like the first one, the smaller last batch too.
    """
    import keras

    distribution = keras.distribution.distribution()
    devices = 1 if distribution is None else distribution.num_model_replicas
    shared = most // devices * devices
    return shared if photos % devices == 0 else shared - 1
