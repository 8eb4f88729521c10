"""What a .keras is made of, seen before Keras reads it: Keras's layers and Linnet's own, and no other code."""

from __future__ import annotations

import difflib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linnet_convert.errors import ConversionError

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG_BYTES = 100_000_000
_OWN = "linnet>"  # the package under which Linnet registers its layers


def check_layers(path: Path) -> None:
    """Looks at a .keras before Keras does, which imports what the file names.

    Raises:
        ConversionError: not a .keras, or layers that are neither Keras's nor Linnet's, with the nearest names.
    """
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
        raise ConversionError(str(path), got=f"a damaged {damaged} in it", expected="a .keras that is whole")
    for name, module, registered in _classes(config):
        if name in ("Lambda", "__lambda__"):
            raise ConversionError(
                str(path),
                got="a Lambda layer",
                expected="no code in the file: it is not run",
                fix="build the model of Keras's own layers",
            )
        if not (registered or "").startswith(_OWN) and (module or "").partition(".")[0] not in ("keras", "builtins"):
            import keras  # takes seconds, which only this line is worth

            nearest = difflib.get_close_matches(name, dir(keras.layers), n=3)
            raise ConversionError(
                str(path),
                got=f"the layer {registered or name}",
                expected="layers of Keras's own" + (f", such as {' or '.join(nearest)}" if nearest else ""),
                fix="build the model of those, or export it as a SavedModel: model.export(FOLDER)",
            )


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
