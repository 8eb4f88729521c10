"""Writes the parity of compiled artifacts, measured on a device, into the bundle."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from linnet_devices.api import Setting, Tier
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, BundleError, open_bundle, read_manifest
from linnet_runtime.bundle_files import describe_file, write_manifest
from linnet_runtime.files.folders import new_directory
from linnet_runtime.proof.canary import Canary, load_canary, save_canary
from linnet_runtime.proof.gates import parity_of, shortcomings
from linnet_runtime.proof.verification import Verdict

_SPREADS = 2.0  # times what the device differs by, as for the engines in ``make_tolerance``


def write_parity(path: Path, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Writes the comparison of each compiled artifact as its ``parity``, with the tier of what it was run on, and
    replaces the bundle in one step.

    A device that quantizes again differs from the CPU by more than the canary's tolerance. Where the comparison passes
    its gates, the tolerance for the artifact becomes twice the difference that was found.

    Returns:
        The verdicts; one that only its canary had failed passes with the new tolerance.

    Raises:
        BundleError: no compiled artifact was compared.
    """
    verdicts = list(verdicts)
    compared = {verdict.path: verdict for verdict in verdicts if verdict.comparison is not None}
    manifest = read_manifest(path)
    written = {a.path: compared[a.path] for a in manifest.artifacts if a.compiled and a.path in compared}
    if not written:
        raise BundleError(
            str(path),
            got="no comparison of a compiled model",
            expected="photos that the bundle's reference knows, and a device that reads a compiled model",
            fix=(Setting("data", placeholder="RUN"), f"linnet compile {path} --target TARGET"),
        )
    canary = load_canary(open_bundle(path))
    with new_directory(path, overwrite=True, marker=MANIFEST) as root:
        shutil.copytree(path, root, dirs_exist_ok=True)
        manifest = _with_parity(manifest, written)
        if canary is not None and manifest.canary is not None:
            save_canary(root / manifest.canary.path, _with_tolerance(canary, written.values()))
            manifest = msgspec.structs.replace(manifest, canary=describe_file(root / manifest.canary.path, root))
        write_manifest(root, manifest)
    return [replace(verdict, failed=_gates(verdict)) if verdict.path in written else verdict for verdict in verdicts]


def _with_parity(manifest: Bundle, written: dict[str, Verdict]) -> Bundle:
    def measured(artifact: Artifact) -> Artifact:
        verdict = written.get(artifact.path)
        if verdict is None or verdict.comparison is None or not artifact.compiled:
            return artifact
        tier: Tier = verdict.tier
        compiled = msgspec.structs.replace(artifact.compiled, tier=tier)
        return msgspec.structs.replace(artifact, compiled=compiled, parity=parity_of(verdict.comparison))

    return msgspec.structs.replace(manifest, artifacts=tuple(map(measured, manifest.artifacts)))


def _with_tolerance(canary: Canary, verdicts: Iterable[Verdict]) -> Canary:
    tolerance = dict(canary.tolerance)
    for verdict in verdicts:
        name = Path(verdict.path).name
        if verdict.canary is not None and name in tolerance and not _gates(verdict):
            tolerance[name] = max(tolerance[name], _SPREADS * verdict.canary.difference)
    return Canary(canary.pixels, canary.logits, tolerance)


def _gates(verdict: Verdict) -> tuple[str, ...]:
    """The gates that the comparison misses, without the canary."""
    if verdict.comparison is None:
        return verdict.failed
    return shortcomings(verdict.comparison, verdict.precision, None)
