# ruff: noqa: S101  # assert is pytest's language
"""What every session does with pixels, a part of ``linnet_devices.testing.conformance``. Internal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from linnet_devices.api import (
    Device,
    DeviceUnavailable,
    Format,
    LinnetError,
    Logits,
    Model,
    OpenOptions,
    Pixels,
    Precision,
    Session,
)
from linnet_devices.registry import load_device, probe
from linnet_devices.testing.samples import CLASSES, HEIGHT, WIDTH, color_pictures, load_models, pattern_pictures

_WRONG_PIXELS = {
    "float32": np.zeros((1, HEIGHT, WIDTH, 3), np.float32),
    "int8": np.zeros((1, HEIGHT, WIDTH, 3), np.int8),
    "no batch": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    "an empty batch": np.zeros((0, HEIGHT, WIDTH, 3), np.uint8),
    "height for width": np.zeros((1, WIDTH, HEIGHT, 3), np.uint8),
    "NCHW": np.zeros((1, 3, HEIGHT, WIDTH), np.uint8),
    "grey": np.zeros((1, HEIGHT, WIDTH, 1), np.uint8),
    "alpha": np.zeros((1, HEIGHT, WIDTH, 4), np.uint8),
}


class SessionConformance:
    """Pixels to logits, as the model's specs say; with the models and the fixtures of the whole suite."""

    device: str
    """The device's name in the registry."""
    precisions: tuple[Precision, ...] = ("int8", "float16", "float32")
    """The precisions that the device runs: ``("int8",)`` for an integer-only accelerator."""
    models: tuple[Model, ...] = ()
    """Models that replace those of the suite, for a device that reads only compiled models: uint8 [1, 24, 32, 3] to
    three classes."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Runs every test that opens a model with each model that the device reads."""
        if "model" in metafunc.fixturenames:
            models = self._models()
            metafunc.parametrize("model", models, ids=[Path(model.path).name for model in models])

    def _models(self) -> list[Model]:
        try:
            device = load_device(self.device)
            readable = {*device.formats, *device.targets}
        except DeviceUnavailable:  # the fixture ``engine`` skips with its reason
            readable = set(get_args(Format))
        models = self.models or load_models()
        return [
            model
            for model in models
            if (model.compiled_for or model.format) in readable and model.precision in self.precisions
        ]

    @pytest.fixture
    def engine(self) -> Device:
        """The device, where it is available."""
        found = probe(self.device)
        if not found.available:
            pytest.skip(f"{self.device}: {found.reason}. Fix: {found.fix}")
        return load_device(self.device)

    @pytest.fixture
    def session(self, engine: Device, model: Model) -> Iterator[Session]:
        """A session of one of the models."""
        with engine.open(model, OpenOptions()) as session:
            yield session

    # Pixels to logits

    def test_gives_a_row_of_float32_logits_for_each_picture(self, session: Session) -> None:
        """The result is float32 [N, classes], and finite."""
        for n in (1, 3):
            logits = session.run(color_pictures()[:n])
            assert logits.dtype == np.float32
            assert logits.shape == (n, len(CLASSES))
            assert np.isfinite(logits).all()

    def test_a_batch_equals_its_pictures_one_by_one(self, session: Session) -> None:
        """A batch is its pictures: neither their order nor their neighbors change anything."""
        pictures = pattern_pictures()
        one_by_one = np.concatenate([session.run(pictures[i : i + 1]) for i in range(len(pictures))])
        np.testing.assert_array_equal(session.run(pictures), one_by_one)
        np.testing.assert_array_equal(session.run(pictures[::-1].copy()), one_by_one[::-1])

    def test_the_same_picture_gives_the_same_logits(self, session: Session) -> None:
        """Runs are deterministic; a run in between has no effect."""
        first = session.run(pattern_pictures())
        session.run(255 - pattern_pictures())
        np.testing.assert_array_equal(session.run(pattern_pictures()), first)

    def test_logits_outlive_the_next_run(self, session: Session) -> None:
        """A result belongs to the caller: a later run and close() do not write into it."""
        logits = session.run(color_pictures())
        kept = logits.copy()
        session.run(255 - color_pictures())
        session.close()
        np.testing.assert_array_equal(logits, kept)

    def test_leaves_the_pixels_alone(self, session: Session) -> None:
        """Pixels are only read, so that the frame can still be shown; read-only ones are accepted."""
        pictures = pattern_pictures()
        session.run(pictures)
        np.testing.assert_array_equal(pictures, pattern_pictures())
        pictures.flags.writeable = False
        session.run(pictures)

    def test_takes_pixels_that_are_not_contiguous(self, session: Session) -> None:
        """A crop or a mirrored view of a larger frame gives the same logits as a copy."""
        frame = np.zeros((3, HEIGHT + 4, WIDTH + 4, 3), np.uint8)
        frame[:, 2:-2, 2:-2] = color_pictures()
        for view in (frame[:, 2:-2, 2:-2], color_pictures()[:, :, ::-1], color_pictures()[..., ::-1]):
            np.testing.assert_array_equal(session.run(view), session.run(view.copy()))

    @pytest.mark.parametrize("pixels", _WRONG_PIXELS.values(), ids=_WRONG_PIXELS)
    def test_refuses_other_pixels(self, session: Session, pixels: Pixels) -> None:
        """Another dtype or shape is refused in one line that says what is expected, and the session still works."""
        with pytest.raises(LinnetError, match=rf"uint8 \[N, {HEIGHT}, {WIDTH}, 3\]") as error:
            session.run(pixels)
        assert_one_line(error)
        assert len(session.run(color_pictures())) == len(CLASSES)

    # The TensorSpecs decide how the input and the output are read

    def test_reads_the_input_as_its_spec_says(self, engine: Device, model: Model) -> None:
        """A model whose input is BGR receives BGR."""
        as_bgr = described(model, input={"color": "bgr"})
        swapped = logits_of(engine, model, color_pictures()[..., ::-1].copy())
        np.testing.assert_array_equal(logits_of(engine, as_bgr, color_pictures()), swapped)

    def test_reads_the_output_as_its_spec_says(self, engine: Device, model: Model) -> None:
        """An output of probabilities becomes their logarithms, which are finite also for a probability of 0."""
        as_probabilities = described(model, output={"values": "probabilities"})
        values = logits_of(engine, model, color_pictures())
        logits = logits_of(engine, as_probabilities, color_pictures())
        np.testing.assert_allclose(logits[values > 0], np.log(values[values > 0]), rtol=1e-5, atol=1e-6)
        assert np.isfinite(logits).all()


def logits_of(engine: Device, model: Model, pixels: Pixels) -> Logits:
    """The logits of a session that is opened for these pixels alone."""
    with engine.open(model, OpenOptions()) as session:
        return session.run(pixels)


def described(model: Model, **changes: dict[str, Any]) -> Model:
    """The model with other TensorSpecs: ``input={"color": "bgr"}``."""
    specs = {side: msgspec.structs.replace(getattr(model, side), **change) for side, change in changes.items()}
    return msgspec.structs.replace(model, **specs)


def assert_one_line(error: pytest.ExceptionInfo[LinnetError]) -> None:
    """Fails where the error's text is empty or has several lines."""
    line = str(error.value)
    assert line
    assert "\n" not in line
