"""``linnet verify --write``: what a compiled model was compared on is in the bundle, and what was not, is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linnet_convert.compilers.api import Job, Product
from linnet_convert.compilers.bundle import compile_bundle
from linnet_devices.api import Format, OpenOptions, Probe
from linnet_runtime.bundle import Bundle, BundleError, open_bundle
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.proof.canary import load_canary
from linnet_runtime.proof.verification import Verdict, verify_bundle
from linnet_runtime.proof.write_parity import write_parity
from program import linnet, one_line_error

TARGET = "chip:one"


class CopyingCompiler:
    """Simulated: what it makes is the model itself, which LiteRT runs as the chip would."""

    name, targets, license = "chip-compiler", (TARGET,), None
    formats: tuple[Format, ...] = ("tflite",)

    def probe(self) -> Probe:
        return Probe(True)

    def compile(self, job: Job) -> Product:
        made = Path(shutil.copy(job.artifact.path, job.folder / "model.tflite"))
        return Product(path=made, format="chip", version="1", options={})


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a compiled model, which the CPU's LiteRT reads here in place of a chip."""
    monkeypatch.setattr("linnet_devices.litert.LiteRT.targets", (TARGET,))
    path = Path(shutil.copytree(bundle_folder, tmp_path / "parts.linnet"))
    compile_bundle(path, {TARGET: CopyingCompiler()}, on_step=lambda _: None)
    return path


def verified(bundle: Path, data: Path | None) -> list[Verdict]:
    opened = open_bundle(bundle)
    photos = None if data is None else load_labelled_photos(data, opened.labels, opened.preprocess)
    return list(verify_bundle(bundle, photos, device="cpu:litert", options=OpenOptions()))


def compiled_of(bundle: Bundle) -> dict[str, object]:
    return msgspec.to_builtins(bundle.artifacts[-1])


def test_the_parity_and_the_tier_are_written(bundle: Path, run_folder: Path) -> None:
    before = open_bundle(bundle)
    assert compiled_of(before)["parity"] is None
    write_parity(bundle, verified(bundle, run_folder))
    artifact = open_bundle(bundle).artifacts[-1]
    assert artifact.compiled
    assert artifact.compiled.tier == "hardware"
    assert artifact.parity is not None
    assert artifact.parity.reference == "int8"
    assert artifact.parity.agreement >= 0.97
    assert open_bundle(bundle).artifacts[:-1] == before.artifacts[:-1]
    assert all(verdict.passed for verdict in verified(bundle, run_folder))


def test_what_a_simulator_showed_is_a_simulators(
    bundle: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linnet_devices.litert.LiteRT.probe", lambda _: Probe(True, tier="simulator"))
    write_parity(bundle, verified(bundle, run_folder))
    artifact = open_bundle(bundle).artifacts[-1]
    assert artifact.compiled
    assert artifact.compiled.tier == "simulator"


def _off_by(verdicts: list[Verdict], difference: float, *, agreement: float = 1.0) -> list[Verdict]:
    """The verdicts of a chip that quantizes again."""
    from dataclasses import replace

    changed = []
    for verdict in verdicts:
        assert verdict.canary is not None
        assert verdict.comparison is not None
        share = replace(verdict.comparison.agreement, value=agreement, low=agreement - 0.01, high=agreement)
        canary = replace(verdict.canary, passed=False, difference=difference)
        comparison = replace(verdict.comparison, agreement=share)
        changed.append(replace(verdict, canary=canary, comparison=comparison, failed=("canary off",)))
    return changed


def test_the_canary_tolerates_twice_what_a_proven_chip_differs_by(bundle: Path, run_folder: Path) -> None:
    tolerated = load_canary(open_bundle(bundle))
    assert tolerated is not None
    name = Path(open_bundle(bundle).artifacts[-1].path).name
    off = 3 * tolerated.tolerance[name]
    compiled = _off_by(verified(bundle, run_folder), off)
    assert all(verdict.passed for verdict in write_parity(bundle, compiled) if verdict.path.startswith("compiled/"))
    after = load_canary(open_bundle(bundle))
    assert after is not None
    assert after.tolerance[name] == pytest.approx(2 * off)
    others = {other: value for other, value in after.tolerance.items() if other != name}
    assert others == {other: value for other, value in tolerated.tolerance.items() if other != name}
    assert np.array_equal(after.logits[name], tolerated.logits[name])


def test_a_chip_that_does_not_agree_is_written_as_it_is_and_still_fails(bundle: Path, run_folder: Path) -> None:
    """The bundle then says so, and its canary tolerates no more than before."""
    before = load_canary(open_bundle(bundle))
    verdicts = write_parity(bundle, _off_by(verified(bundle, run_folder), 1e3, agreement=0.9))
    assert verdicts[-1].failed
    artifact, after = open_bundle(bundle).artifacts[-1], load_canary(open_bundle(bundle))
    assert artifact.parity is not None
    assert artifact.parity.agreement == 0.9
    assert before is not None
    assert after is not None
    assert after.tolerance == before.tolerance


def test_nothing_is_written_where_no_compiled_model_was_compared(
    bundle: Path, bundle_folder: Path, run_folder: Path
) -> None:
    before = (bundle / "bundle.json").read_bytes()
    with pytest.raises(BundleError, match="no comparison of a compiled model"):
        write_parity(bundle, verified(bundle, None))
    assert (bundle / "bundle.json").read_bytes() == before
    arguments = ("verify", bundle_folder, "--write", "--device", "cpu:litert", "--data", run_folder)
    assert "no comparison of a compiled model" in one_line_error(linnet(*arguments, status=1))
    assert "--data DATA with --write" in one_line_error(linnet("verify", bundle_folder, "--write", status=1))


def test_verify_says_what_the_device_is(bundle_folder: Path) -> None:
    rows = json.loads(linnet("verify", bundle_folder, "--device", "cpu:litert", "--json").stdout)["artifacts"]
    assert {row["tier"] for row in rows} == {"hardware"}
