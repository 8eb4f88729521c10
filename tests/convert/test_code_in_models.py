"""Model files with code in them: it is not run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from linnet_convert.errors import ConversionError
from linnet_convert.readers.keras_config import check_layers
from program import Program, one_line_error


def rewritten(source: Path, target: Path, change: Callable[[str], str]) -> Path:
    """A .keras with another configuration."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data.decode()).encode() if name == "config.json" else data)
    return target


def test_layers_that_keras_has_not_are_named_with_the_nearest(whole_models: dict[str, Path], tmp_path: Path) -> None:
    def change(config: str) -> str:
        return config.replace(
            '"module": "keras.layers", "class_name": "Dense"', '"module": "mine", "class_name": "Dens"'
        )

    path = rewritten(whole_models["keras"], tmp_path / "model.keras", change)
    with pytest.raises(ConversionError, match=r"got the layer Dens, expected layers of Keras's own, such as Dense"):
        check_layers(path)


def test_code_in_a_keras_file_is_not_run(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = keras.Input((32, 32, 3))
    x = layers.Lambda(lambda x: (Path("proof").touch(), x)[1], output_shape=(32, 32, 3))(pixels)
    keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))).save("lambda.keras")
    Path("proof").unlink(missing_ok=True)
    done = program("convert", "lambda.keras", "--out", "x.linnet", status=1)
    assert "got a Lambda layer, expected no code in the file, because Linnet does not run it" in one_line_error(done)
    assert not Path("proof").exists()


def test_a_saved_model_that_would_write_files_is_refused(tmp_path: Path, program: Program) -> None:
    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 32, 32, 3))])
        def __call__(self, x: Any) -> dict[str, Any]:
            tf.io.write_file(str(tmp_path / "proof"), "written")
            return {"logits": tf.reduce_mean(x, (1, 2))}

    module = Writes()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.__call__.get_concrete_function())
    done = program("convert", tmp_path / "saved", "--out", tmp_path / "x.linnet", status=1)
    assert "got the operator WriteFile, expected a model that only computes" in one_line_error(done)
    assert not (tmp_path / "proof").exists()
