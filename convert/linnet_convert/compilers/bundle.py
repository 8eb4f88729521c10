"""Compiles a bundle's model for targets, and adds what the compilers made to the bundle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from linnet_convert.compilers.api import Compiler, Job, Product
from linnet_convert.compilers.registry import TARGET_SETTING, compiler_of
from linnet_convert.errors import ConversionError
from linnet_convert.progress import OnStep
from linnet_devices.api import Format
from linnet_devices.errors import Setting
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, open_bundle, read_manifest
from linnet_runtime.bundle_files import check_artifact, describe_file, write_manifest
from linnet_runtime.compiled import Compiled
from linnet_runtime.files.folders import new_directory
from linnet_runtime.proof.canary import Canary, load_canary, save_canary

WITHIN_S = 600.0
"""The most seconds for a run of a vendor's tool."""
FOLDER = "compiled"
"""The folder of a bundle with a folder for each target."""
_FAILED = "report/compile-{}.log"  # the log of a compilation that failed


def compilers_of(targets: Iterable[str], *, setting: Setting = TARGET_SETTING) -> dict[str, Compiler]:
    """The compiler of each target.

    Raises:
        ConversionError: no compiler has a target, or the tool of one is not available.
    """
    found = {target: compiler_of(target, setting=setting) for target in targets}
    for target, compiler in found.items():
        probe = compiler.probe()
        if not probe.available:
            raise ConversionError(f"compiler of {target}", got=probe.reason, fix=probe.fix)
    return found


def compile_bundle(
    path: Path, compilers: dict[str, Compiler], *, on_step: OnStep, within_s: float = WITHIN_S
) -> tuple[Artifact, ...]:
    """Compiles the bundle at ``path`` for each target. The bundle is replaced in one step when all are compiled. An
    older artifact for one of the targets is removed; the other files do not change.

    Args:
        path: the bundle's folder.
        compilers: by target, as ``compilers_of`` gives them.
        on_step: called with each step that starts.
        within_s: the most seconds for each run of a vendor's tool.

    Returns:
        The new artifacts; their paths are relative to the bundle's folder.

    Raises:
        ConversionError: a compiler fails. The bundle is as before, and has the compiler's log in its ``report``.
        BundleError: the bundle is damaged.
    """
    bundle = open_bundle(path, absolute=True)
    sources = {target: _source(bundle, compiler.formats, target) for target, compiler in compilers.items()}
    canary = load_canary(bundle)
    with new_directory(path, overwrite=True, marker=MANIFEST) as root:
        shutil.copytree(path, root, dirs_exist_ok=True)
        manifest = read_manifest(root)
        made = {}
        for target, compiler in compilers.items():
            on_step(f"compiling for {target}")
            made[target] = _compile(compiler, bundle, sources[target], target, root, within_s, path)
        kept = tuple(artifact for artifact in manifest.artifacts if artifact.compiled_for not in made)
        manifest = msgspec.structs.replace(manifest, artifacts=(*kept, *made.values()))
        if canary is not None and manifest.canary is not None:
            names = {made[target].path: sources[target].path for target in made}
            save_canary(root / manifest.canary.path, _with_compiled(canary, names))
            manifest = msgspec.structs.replace(manifest, canary=describe_file(root / manifest.canary.path, root))
        write_manifest(root, manifest)
    return tuple(made.values())


def _source(bundle: Bundle, formats: tuple[Format, ...], target: str) -> Artifact:
    """The artifact to compile: int8, in the first of the formats that the bundle has."""
    plain = [artifact for artifact in bundle.artifacts if artifact.is_int8 and artifact.compiled_for is None]
    for form in formats:
        for artifact in plain:
            if artifact.format == form:
                check_artifact(artifact)
                return artifact
    got = ", ".join(f"{artifact.format} {artifact.precision}" for artifact in bundle.artifacts)
    raise ConversionError(f"{bundle.name} for {target}", got=got, expected=f"an int8 model in {' or '.join(formats)}")


def _compile(
    compiler: Compiler, bundle: Bundle, source: Artifact, target: str, root: Path, within_s: float, path: Path
) -> Artifact:
    """Runs a compiler, and moves what it made into the folder of its target below ``root``."""
    name = target.replace(":", "-")
    with tempfile.TemporaryDirectory(prefix="linnet-compile-") as working:
        log, folder = Path(working) / "log", Path(working) / "made"
        folder.mkdir()
        try:
            product = compiler.compile(Job(bundle, source, target, folder, log, within_s))
            if not product.path.is_file() or product.path.stat().st_size == 0:
                raise ConversionError(f"{source.path} for {target}", got=f"no file from {compiler.name}")
        except ConversionError as error:
            raise _with_log(error, log, path / _FAILED.format(name)) from error
        home = root / FOLDER / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        model = home / f"model.int8_{name}{product.path.suffix}"
        shutil.move(product.path, model)
        for file in product.beside:
            shutil.move(file, home / file.name)
        if log.exists():
            shutil.move(log, model.with_suffix(".log"))
    return _artifact(compiler, product, source, target, model, root)


def _artifact(compiler: Compiler, product: Product, source: Artifact, target: str, model: Path, root: Path) -> Artifact:
    file = describe_file(model, root)
    pixels, logits = product.ends or (source.input, source.output)
    return Artifact(
        path=file.path,
        format=product.format,
        precision=source.precision,
        bytes=file.bytes,
        sha256=file.sha256,
        input=pixels,
        output=logits,
        requires=product.requires,
        compiled=Compiled(
            compiler=compiler.name,
            version=product.version,
            target=target,
            source_sha256=source.sha256,
            options=product.options,
            mapped=product.mapped,
            on_cpu=product.on_cpu,
            on_chip_bytes=product.on_chip_bytes,
            off_chip_bytes=product.off_chip_bytes,
            estimated_ms=product.estimated_ms,
            license=compiler.license,
        ),
    )


def _with_compiled(canary: Canary, sources: dict[str, str]) -> Canary:
    """The canaries with those of compiled artifacts (path to source path): both have to give the same logits."""
    logits, tolerance = dict(canary.logits), dict(canary.tolerance)
    for path, source in sources.items():
        name, known = Path(path).name, Path(source).name
        if known in canary.logits:
            logits[name], tolerance[name] = canary.logits[known], canary.tolerance[known]
    return Canary(canary.pixels, logits, tolerance)


def _with_log(error: ConversionError, log: Path, place: Path) -> ConversionError:
    """The error of a failed compilation, with the path of its log."""
    if not log.exists() or log.stat().st_size == 0:
        return error
    place.parent.mkdir(exist_ok=True)
    shutil.move(log, place)
    fix = error.fix if isinstance(error.fix, tuple) else (error.fix,) if error.fix else ()
    return ConversionError(error.what, got=error.got, expected=error.expected, fix=(*fix, f"see {place}"))
