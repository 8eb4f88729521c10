# ruff: noqa: S101  # assert is pytest's language
"""What every compiler does, as a pytest class: a compiler's own test file names it, and that is all.

from linnet_convert.testing.compiler_conformance import CompilerConformance

class TestMine(CompilerConformance):
    compiler = "mine"  # its name in the registry's table, or a plug-in's entry point
    target = "mine:small-chip"  # one of its targets

The suite compiles a bundle of the models of ``linnet_devices.testing.samples``. Where the vendor's tool is not
available, it checks that ``probe`` reports the reason and the fix, and skips the other tests with them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from linnet_convert.compilers.api import Compiler
from linnet_convert.compilers.bundle import compile_bundle
from linnet_convert.compilers.registry import compiler_of, load_compiler
from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Model
from linnet_devices.testing.samples import CLASSES, HEIGHT, WIDTH, load_models
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, Provenance, compiled_from, open_bundle
from linnet_runtime.bundle_files import check_file, describe_file, files_of, write_bundle
from linnet_runtime.preprocess import Preprocess


def write_sample_bundle(path: Path) -> Path:
    """Writes a bundle of the suite's models: red, green and blue, 24 pixels high and 32 wide. Returns its path."""

    def fill(directory: Path) -> Bundle:
        return Bundle(
            name="colors",
            labels=CLASSES,
            preprocess=Preprocess(height=HEIGHT, width=WIDTH),
            artifacts=tuple(_artifact(model, directory) for model in load_models()),
            provenance=Provenance(source="the conformance suite", created="2025-01-01T00:00:00Z", versions={}),
        )

    write_bundle(path, fill, overwrite=False)
    return path


def _artifact(model: Model, directory: Path) -> Artifact:
    file, *weights = (
        describe_file(Path(shutil.copy(source, directory)), directory)
        for source in (model.path, model.weights)
        if source
    )
    return Artifact(
        path=file.path,
        format=model.format,
        precision=model.precision,
        bytes=file.bytes,
        sha256=file.sha256,
        input=model.input,
        output=model.output,
        weights=weights[0] if weights else None,
    )


class CompilerConformance:
    """Subclass it with the compiler's name and a target, and a name that begins with Test."""

    compiler: str
    """The compiler's name in the registry."""
    target: str
    """One of its targets."""

    @pytest.fixture
    def loaded(self) -> Compiler:
        """The compiler, where its tool is available."""
        compiler = load_compiler(self.compiler)
        found = compiler.probe()
        if not found.available:
            pytest.skip(f"{self.compiler}: {found.reason}. Fix: {found.fix}")
        return compiler

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        """A bundle to compile."""
        return write_sample_bundle(tmp_path / "colors.linnet")

    # What it reports about itself

    def test_probe_reports_availability_or_the_reason(self) -> None:
        """Probing never raises and gives the same twice; a missing tool is a reason and a fix, in a line each."""
        found = load_compiler(self.compiler).probe()
        assert found == load_compiler(self.compiler).probe()
        if not found.available:
            assert found.reason
            assert found.fix
            assert "\n" not in found.reason + found.fix

    def test_its_targets_are_its_own(self) -> None:
        """Each target belongs to this compiler, and is listed once."""
        targets = load_compiler(self.compiler).targets
        assert self.target in targets
        assert len(set(targets)) == len(targets)
        assert {target.partition(":")[0] for target in targets} == {self.compiler}
        assert {compiler_of(target).name for target in targets} == {load_compiler(self.compiler).name}

    def test_reads_a_format_of_bundles(self) -> None:
        """A compiler reads at least one of the formats that Linnet writes."""
        formats = load_compiler(self.compiler).formats
        assert formats
        assert set(formats) <= set(get_args(Format))

    # Compiling

    def test_adds_an_artifact_with_its_record(self, loaded: Compiler, bundle: Path) -> None:
        """The bundle names the compiler, the target and the model that was compiled, and is whole."""
        before = open_bundle(bundle)
        (made,) = self._compile(loaded, bundle)
        after = open_bundle(bundle)
        for file in files_of(after):
            check_file(file)
        artifact = after.artifacts[-1]
        compiled = artifact.compiled
        assert compiled
        assert (compiled.compiler, compiled.target) == (loaded.name, self.target)
        assert compiled.version
        assert compiled.tier == "none"
        assert artifact.parity is None
        source = compiled_from(after, artifact)
        assert source is not None
        assert source.is_int8
        assert source.format in loaded.formats
        assert compiled.mapped is None or compiled.mapped > 0
        assert all(count > 0 for count in (compiled.on_cpu or {}).values())
        assert Path(artifact.path) == bundle / made.path
        assert after.artifacts[:-1] == before.artifacts

    def test_leaves_the_other_files_alone(self, loaded: Compiler, bundle: Path) -> None:
        """Every file that was there has the bytes that it had, except for the manifest."""
        before = _files(bundle)
        self._compile(loaded, bundle)
        after = _files(bundle)
        assert {name: after[name] for name in before if name != MANIFEST} == {
            name: data for name, data in before.items() if name != MANIFEST
        }

    def test_compiling_again_replaces_what_it_made(self, loaded: Compiler, bundle: Path) -> None:
        """A second run gives the same record, and one artifact for the target."""
        first, second = self._compile(loaded, bundle), self._compile(loaded, bundle)
        assert [artifact.compiled for artifact in first] == [artifact.compiled for artifact in second]
        assert [artifact.compiled_for for artifact in open_bundle(bundle).artifacts].count(self.target) == 1

    # Failing

    def test_a_model_that_it_cannot_read_is_one_line(self, loaded: Compiler, bundle: Path) -> None:
        """The line names the model or the target, and the bundle does not change."""
        for artifact in open_bundle(bundle).artifacts:
            Path(artifact.path).write_bytes(b"not a model\n")
        _renew_hashes(bundle)
        before = (bundle / MANIFEST).read_bytes()
        with pytest.raises(ConversionError) as error:
            self._compile(loaded, bundle)
        line = str(error.value)
        assert self.target in line
        assert "\n" not in line
        assert (bundle / MANIFEST).read_bytes() == before
        assert not list(bundle.parent.glob(".*.partial"))

    def test_a_bundle_without_a_model_that_it_reads_is_one_line(self, loaded: Compiler, bundle: Path) -> None:
        """A float model is not compiled in its place."""
        manifest = msgspec.json.decode((bundle / MANIFEST).read_bytes())
        manifest["artifacts"] = [row for row in manifest["artifacts"] if row["precision"] != "int8"]
        (bundle / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        with pytest.raises(ConversionError, match="expected an int8 model in"):
            self._compile(loaded, bundle)

    def _compile(self, compiler: Compiler, bundle: Path) -> tuple[Artifact, ...]:
        return compile_bundle(bundle, {self.target: compiler}, on_step=lambda _: None)


def _files(bundle: Path) -> dict[str, bytes]:
    return {str(path.relative_to(bundle)): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}


def _renew_hashes(bundle: Path) -> None:
    """Has the manifest accept the artifacts' files as they are now."""
    manifest = msgspec.json.decode((bundle / MANIFEST).read_bytes())
    for row in manifest["artifacts"]:
        file = describe_file(bundle / row["path"], bundle)
        row |= {"bytes": file.bytes, "sha256": file.sha256}
    (bundle / MANIFEST).write_bytes(msgspec.json.encode(manifest))
