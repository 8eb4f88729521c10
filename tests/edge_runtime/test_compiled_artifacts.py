"""Artifacts that a vendor's compiler made: schema 2 of the bundle, and which of them a device opens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.small_bundle import MODEL, edit_manifest, manifest_of
from linnet_devices.api import DeviceUnavailable, OpenOptions, Probe
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, BundleError, open_bundle
from linnet_runtime.bundle_files import describe_file, write_bundle
from linnet_runtime.compiled import Compiled
from linnet_runtime.proof.verification import verify_bundle
from linnet_runtime.sessions import find_artifact

TARGET, OTHER = "chip:small", "chip:large"


def compiled_artifact(directory: Path, source: Artifact, target: str = TARGET) -> Artifact:
    """An entry for a model compiled from ``source``; its file is a few bytes, which no engine reads."""
    path = directory / f"model.int8_{target.replace(':', '-')}.bin"
    path.write_bytes(f"compiled for {target}".encode())
    file = describe_file(path, directory)
    compiled = Compiled(
        compiler="chip-compiler",
        version="1.2",
        target=target,
        source_sha256=source.sha256,
        options={"optimize": "size"},
        mapped=65,
        on_cpu={"SOFTMAX": 1},
        on_chip_bytes=1 << 16,
        estimated_ms=0.5,
    )
    changes: dict[str, Any] = {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "compiled": compiled}
    return msgspec.structs.replace(source, format="chip-binary", **changes)


def with_compiled(directory: Path, *targets: str) -> Bundle:
    bundle = manifest_of(directory)
    made = tuple(compiled_artifact(directory, bundle.artifacts[0], target) for target in targets)
    return msgspec.structs.replace(bundle, artifacts=(*bundle.artifacts, *made))


@pytest.fixture
def compiled_bundle(tmp_path: Path) -> Path:
    path = tmp_path / "small.linnet"
    write_bundle(path, lambda directory: with_compiled(directory, TARGET), overwrite=False)
    return path


class ChipDevice:
    """A simulated device: it reads .tflite, and better what was compiled for its chips."""

    name = "chip"
    formats = ("tflite",)
    isolated = False

    def __init__(self, *targets: str) -> None:
        self.targets = targets

    def probe(self) -> Probe:
        return Probe(True)

    def open(self, model: object, options: object) -> Any:
        raise NotImplementedError


def stale(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][-1]["compiled"]["source_sha256"] = "0" * 64


def test_a_compiled_artifact_is_read_as_it_was_written(compiled_bundle: Path) -> None:
    """Its format is the compiler's own, and everything that is stated about it comes back."""
    bundle = open_bundle(compiled_bundle)
    artifact = bundle.artifacts[-1]
    assert bundle.schema == 2
    assert (artifact.format, artifact.compiled_for) == ("chip-binary", TARGET)
    assert isinstance(artifact.compiled, Compiled)
    assert (artifact.compiled.mapped, artifact.compiled.on_cpu) == (65, {"SOFTMAX": 1})
    assert (artifact.compiled.tier, artifact.parity) == ("none", None)
    assert artifact.compiled.source_sha256 == bundle.artifacts[0].sha256
    assert artifact.model().compiled_for == TARGET


def test_a_bundle_without_compiled_artifacts_stays_schema_1(small_bundle: Path) -> None:
    """Older readers accept it: no key was added."""
    text = (small_bundle / MANIFEST).read_text()
    assert open_bundle(small_bundle).schema == 1
    assert "compiled" not in text


@pytest.mark.parametrize(
    ("edit", "where", "what"),
    [
        (lambda m: m.update(schema=1), "$.schema", "got 1, expected 2, whose keys the bundle has"),
        (lambda m: m["artifacts"][-1]["compiled"].update(url="x"), "$.artifacts[2].compiled", "`url`"),
        (lambda m: m["artifacts"][-1]["compiled"].update(tier="guess"), "$.artifacts[2].compiled.tier", "'guess'"),
        (lambda m: m["artifacts"][-1]["compiled"].update(target="\x1b[2J"), "$.artifacts[2].compiled.target", "name"),
        (lambda m: m["artifacts"][-1].update(format="a\nb"), "$.artifacts[2].format", "'a\\nb'"),
        (lambda m: m["artifacts"][-1].update(compiled=None), "$.artifacts[2].compiled", "Expected `object`"),
        (
            lambda m: m["artifacts"][-1].pop("compiled"),
            "$.artifacts[2].format",
            "'chip-binary', expected one of tflite",
        ),
    ],
)
def test_a_wrong_record_is_an_error_that_names_the_json_path(
    edit: Callable[[dict[str, Any]], None], where: str, what: str, compiled_bundle: Path
) -> None:
    edit_manifest(compiled_bundle, edit)
    with pytest.raises(BundleError) as refused:
        open_bundle(compiled_bundle)
    line = str(refused.value)
    assert where in line
    assert what in line
    assert "\n" not in line


def test_a_device_opens_the_artifact_that_was_compiled_for_it(compiled_bundle: Path) -> None:
    bundle = open_bundle(compiled_bundle)
    assert find_artifact(bundle, ChipDevice(OTHER, TARGET), "int8").compiled_for == TARGET
    assert Path(find_artifact(bundle, ChipDevice(), "int8").path).name == MODEL


def test_the_first_of_a_devices_targets_is_preferred(tmp_path: Path) -> None:
    path = tmp_path / "small.linnet"
    write_bundle(path, lambda directory: with_compiled(directory, TARGET, OTHER), overwrite=False)
    assert find_artifact(open_bundle(path), ChipDevice(OTHER, TARGET), "int8").compiled_for == OTHER


def test_an_artifact_for_another_chip_is_passed_over(compiled_bundle: Path) -> None:
    """The plain model runs; where the device reads only compiled ones, the line names what the bundle has."""
    bundle, device = open_bundle(compiled_bundle), ChipDevice(OTHER)
    assert Path(find_artifact(bundle, device, "int8").path).name == MODEL
    device.formats = ()
    with pytest.raises(DeviceUnavailable) as error:
        find_artifact(bundle, device, "int8")
    line = str(error.value)
    assert f"a model compiled for {OTHER}" in line
    assert f"its compiled models are for {TARGET}" in line
    assert f"linnet compile small.linnet --target {OTHER}" in line


def test_a_stale_artifact_is_not_opened(compiled_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was compiled from a model that the bundle no longer has. The bundle's own model runs, with one warning."""
    edit_manifest(compiled_bundle, stale)
    bundle, device = open_bundle(compiled_bundle), ChipDevice(TARGET)
    with caplog.at_level(logging.WARNING, logger="linnet"):
        assert Path(find_artifact(bundle, device, "int8").path).name == MODEL
    (record,) = caplog.records
    assert "model.int8_chip-small.bin was compiled from another model" in record.message
    device.formats = ()
    with pytest.raises(DeviceUnavailable, match=r"it is stale\. Fix: linnet compile small.linnet --target chip:small"):
        find_artifact(bundle, device, "int8")


def test_verify_fails_a_stale_artifact_and_checks_the_others(
    compiled_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulated device ``fake`` reads everything here; the bundle's own models are run as ever."""
    edit_manifest(compiled_bundle, stale)
    monkeypatch.setattr("linnet_devices.fake.Fake.targets", (TARGET,))
    verdicts = list(verify_bundle(compiled_bundle, None, device="fake", options=OpenOptions()))
    assert [bool(verdict.failed) for verdict in verdicts] == [False, False, True]
    assert "it is stale" in verdicts[-1].failed[0]
