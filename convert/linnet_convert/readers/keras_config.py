"""The layers in a Keras file, checked before Keras reads it: only layers of Keras and Linnet, and no other code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linnet_convert.errors import ConversionError
from linnet_devices.errors import nearest

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG_BYTES = 100_000_000
_NETWORKS = ("Functional", "Policy")  # what else Keras 2 names without a module
_OWN = "linnet>"  # the package under which Linnet registers its layers


def check_layers(path: Path) -> None:
    """Checks a .keras or an .h5 before Keras reads it, which would import what the file names.

    Raises:
        ConversionError: not such a file, or layers that are neither Keras's nor Linnet's, with the nearest names.
    """
    if path.suffix.lower() == ".keras":
        _check_classes(path, _config_of_keras(path))
    else:
        _check_classes(path, _config_of_h5(path))


def _config_of_keras(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(_CONFIG).file_size
            archive.getinfo(_WEIGHTS)
            if size > _MOST_CONFIG_BYTES:
                raise ConversionError(str(path), got=f"a {_CONFIG} of {size} bytes", expected=f"{_MOST_CONFIG_BYTES}")
            config = json.loads(archive.read(_CONFIG))
            damaged = archive.testzip()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ConversionError(str(path), got=str(error), expected="a .keras that model.save wrote") from error
    if damaged is not None:
        raise ConversionError(str(path), got=f"a damaged {damaged} in it", expected="a complete .keras")
    return config


def _config_of_h5(path: Path) -> Any:
    """The configuration in an .h5, whose classes have names alone where Keras 2 wrote it."""
    import h5py  # comes with Keras, which other models do without

    expected = "an .h5 that model.save wrote"
    try:
        with h5py.File(path) as file:
            found = file.attrs.get("model_config")
            if found is None:
                fix = "model.save('model.keras') in place of save_weights"
                raise ConversionError(str(path), got="weights without the network", expected=expected, fix=fix)
            return json.loads(found)
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(str(path), got=" ".join(str(error).split()), expected=expected) from error


def _check_classes(path: Path, config: Any) -> None:
    """Raises ConversionError where a configuration names other classes than Keras's and Linnet's."""
    for name, module, registered in _classes(config):
        if name in ("Lambda", "__lambda__"):
            raise ConversionError(
                str(path),
                got="a Lambda layer",
                expected="no code in the file, because Linnet does not run it",
                fix="build the model of Keras's own layers",
            )
        if not (registered or "").startswith(_OWN) and not _is_of_keras(path, name, module):
            import keras  # takes seconds

            near = nearest(name, dir(keras.layers), most=3)
            raise ConversionError(
                str(path),
                got=f"the layer {registered or name}",
                expected="layers of Keras's own" + (f", such as {' or '.join(near)}" if near else ""),
                fix="build the model of those, or export it where it was made: tf.saved_model.save(model, 'FOLDER')",
            )


def _is_of_keras(path: Path, name: str, module: str | None) -> bool:
    if module is not None or path.suffix.lower() == ".keras":
        # In an .h5 the layers of Keras 2 are looked up by their names; nothing is imported from its package.
        known = ("keras", "builtins") if path.suffix.lower() == ".keras" else ("keras", "builtins", "tf_keras")
        return (module or "").partition(".")[0] in known
    import keras  # see above

    places = (keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints)
    return name in _NETWORKS or any(hasattr(place, name) for place in places)


def _classes(config: Any) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, module and registered name of every object that a configuration would make."""
    if isinstance(config, dict):
        name = config.get("class_name", "")
        keras_mark = str(name).startswith("__") and name != "__lambda__"  # of a tensor's place, not of a class
        if name and "config" in config and not keras_mark:
            yield str(name), config.get("module"), config.get("registered_name")
        for value in config.values():
            yield from _classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _classes(value)
