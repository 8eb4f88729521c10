# ruff: noqa: S101  # assert is pytest's language
"""What every device does, as a pytest class: a device's own test file names it, and that is all.

from linnet_devices.testing.conformance import DeviceConformance

class TestMine(DeviceConformance):
    device = "mine"  # its name in the registry's table, or a plug-in's entry point

The suite opens every model of ``linnet_devices.testing.samples`` that the device reads. Where the device is not
available, it checks that ``probe`` reports the reason and the fix, and skips the other tests with them.
"""

from __future__ import annotations

import gc
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from linnet_devices.api import Device, DeviceError, Format, Model, OpenOptions, Session
from linnet_devices.registry import probe
from linnet_devices.testing.samples import (
    CLASSES,
    HEIGHT,
    WIDTH,
    color_pictures,
    expected_logits,
    in_folder,
    pattern_pictures,
)
from linnet_devices.testing.session_conformance import SessionConformance, assert_one_line, described, logits_of

# In steps of 1/255 of the output's range. Engines round differently; a wrong input is 10 steps off.
_STEPS = 6

_WRONG_SPECS: dict[str, dict[str, dict[str, Any]]] = {
    "a larger picture": {"input": {"shape": (1, HEIGHT, WIDTH + 1, 3)}},
    "a float input": {"input": {"dtype": "float32", "scale": None, "zero_point": None}},
    "more classes": {"output": {"shape": (1, len(CLASSES) + 1)}},
    "fewer classes": {"output": {"shape": (1, len(CLASSES) - 1)}},
    "another output": {"output": {"dtype": "int8"}},
}


class SimulatedDeviceConformance(SessionConformance):
    """For a device that reads no model file, such as ``fake``; for every other one there is ``DeviceConformance``."""

    # What it reports about itself

    def test_probe_reports_availability_or_the_reason(self) -> None:
        """Probing never raises; a device that is not available reports a reason and a fix, in a line each."""
        found = probe(self.device)
        if not found.available:
            assert found.reason
            assert found.fix
            assert "\n" not in found.reason + found.fix

    def test_probing_twice_says_the_same(self) -> None:
        """Probing keeps nothing open that a second probe needs."""
        assert probe(self.device) == probe(self.device)

    def test_name_is_the_registrys(self, engine: Device) -> None:
        """A device has the name that the registry has."""
        assert engine.name == self.device

    def test_formats_are_known(self, engine: Device) -> None:
        """A device reads at least one of the formats, or models of a compiler, and a model of this suite."""
        assert engine.formats or engine.targets
        assert set(engine.formats) <= set(get_args(Format))
        assert self._models()

    def test_says_where_it_runs_and_what_it_reads(self, engine: Device) -> None:
        """A device is isolated or not, and names the targets of the compiled models that it reads."""
        assert isinstance(engine.isolated, bool)
        assert all(isinstance(target, str) and target for target in engine.targets)

    def test_session_says_what_it_is(self, session: Session, model: Model) -> None:
        """A session reports its device, at least as precisely as the user named it, and its model."""
        assert session.device.startswith(self.device)
        assert session.model == model

    def test_placement_accounts_for_every_operation(self, session: Session) -> None:
        """Some operations run on the device, and each of the others is listed."""
        placement = session.placement
        assert placement.device.startswith(self.device)
        assert 0 < placement.on_device <= placement.total
        assert len(placement.elsewhere) == placement.total - placement.on_device
        assert placement.share == placement.on_device / placement.total

    # Opening and closing

    @pytest.mark.parametrize("threads", [1, 2])
    def test_threads_change_no_top1(self, engine: Device, model: Model, threads: int) -> None:
        """A device uses the number of threads or ignores it; the label stays the same."""
        with engine.open(model, OpenOptions(threads=threads)) as session:
            best = session.run(color_pictures()).argmax(axis=1)
        np.testing.assert_array_equal(best, logits_of(engine, model, color_pictures()).argmax(axis=1))

    def test_two_sessions_are_open_at_once(self, session: Session, engine: Device, model: Model) -> None:
        """Two sessions share nothing: neither is affected by the other's runs or by its end."""
        alone = session.run(pattern_pictures())
        with engine.open(model, OpenOptions()) as other:
            other.run(255 - pattern_pictures())
            np.testing.assert_array_equal(session.run(pattern_pictures()), alone)
            np.testing.assert_array_equal(other.run(pattern_pictures()), alone)
        np.testing.assert_array_equal(session.run(pattern_pictures()), alone)

    def test_runs_in_another_thread_than_it_was_opened_in(self, session: Session) -> None:
        """A pipeline opens a session in one thread and runs it in another."""
        here = session.run(pattern_pictures())
        with ThreadPoolExecutor(1) as thread:
            there = thread.submit(session.run, pattern_pictures()).result()
        np.testing.assert_array_equal(there, here)

    def test_a_closed_session_does_not_run(self, session: Session) -> None:
        """Closing twice does nothing, and running afterwards is an error in one line."""
        session.close()
        session.close()
        with pytest.raises(DeviceError) as error:
            session.run(color_pictures())
        assert_one_line(error)

    def test_a_context_manager_closes_on_an_error_too(self, engine: Device, model: Model) -> None:
        """``with`` returns the session itself, closes it, and does not hide the error."""
        session = engine.open(model, OpenOptions())
        with pytest.raises(ZeroDivisionError), session as entered:  # noqa: PT012  # the block is what is tested
            assert entered is session
            raise ZeroDivisionError
        with pytest.raises(DeviceError):
            session.run(color_pictures())

    def test_an_unclosed_session_is_reported(self, engine: Device, model: Model) -> None:
        """A session that is dropped unclosed warns, because a device may stay taken."""
        session = engine.open(model, OpenOptions())
        with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031  # to drop it takes two
            del session
            gc.collect()


class DeviceConformance(SimulatedDeviceConformance):
    """Subclass it with the device's name, and a name that begins with Test."""

    def test_names_each_color(self, session: Session) -> None:
        """A red, a green and a blue picture get these labels: neither channels nor labels are exchanged."""
        named = [CLASSES[best] for best in session.run(color_pictures()).argmax(axis=1)]
        assert named == list(CLASSES)

    def test_agrees_with_keras(self, session: Session, model: Model) -> None:
        """The logits are those of the Keras model, except for rounding."""
        expected = expected_logits(model)
        step = model.output.scale or float(np.ptp(expected)) / 255
        off = np.abs(session.run(pattern_pictures()) - expected) / step
        assert off.max() <= _STEPS, f"logits are off by up to {off.max():.1f} output steps"

    @pytest.mark.parametrize("changes", _WRONG_SPECS.values(), ids=_WRONG_SPECS)
    def test_refuses_a_model_that_differs_from_its_spec(
        self, engine: Device, model: Model, changes: dict[str, dict[str, Any]]
    ) -> None:
        """A file that differs from its TensorSpecs is an error at open or at the first run, never wrong logits."""
        wrong = described(model, **changes)
        with pytest.raises(DeviceError) as error:
            logits_of(engine, wrong, np.zeros((1, *wrong.input.shape[1:]), np.uint8))
        assert_one_line(error)

    @pytest.mark.parametrize("damage", ["missing", "empty", "another file", "cut off"])
    def test_refuses_a_damaged_model(self, engine: Device, model: Model, damage: str, tmp_path: Path) -> None:
        """A model file that is missing or broken, or its weights, is an error in one line that names it."""
        paths = [Path(model.path)] + ([Path(model.weights)] if model.weights else [])
        for number, path in enumerate(paths):
            folder = tmp_path / str(number)
            folder.mkdir()
            for source in paths:
                shutil.copy(source, folder)
            _damage(folder / path.name, damage)
            broken = in_folder(model, folder)
            with pytest.raises(DeviceError) as error:
                engine.open(broken, OpenOptions())
            assert_one_line(error)
            assert broken.path in str(error.value)


def _damage(path: Path, damage: str) -> None:
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "another file": b"not a model\n", "cut off": data[: len(data) // 2]}[damage])
