"""The hardware on which a run was trained."""

from __future__ import annotations

import os

import keras

from linnet_runtime.machine import host


def hardware() -> dict[str, object]:
    """The machine, and the accelerators that the backend trains on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {**host(), "memory_gb": round(memory / 1e9, 1), "accelerators": _accelerators()}


def _accelerators() -> list[str]:
    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
