"""The files of a bundle: described by size and hash, checked against the manifest, and written whole or not at all.
Internal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, BundleError, File, oldest_schema, open_bundle
from linnet_runtime.files.folders import new_directory, open_regular

_CHUNK_BYTES = 1 << 20


def files_of(bundle: Bundle) -> list[File]:
    """Every file that a bundle names."""
    files = [file for _, artifact in bundle.rows() for file in (artifact.file, artifact.weights)]
    files += [bundle.canary, bundle.reference, bundle.features.head if bundle.features else None]
    return [file for file in files if file is not None]


def check_artifact(artifact: Artifact) -> None:
    """``check_file`` for the files of an artifact."""
    check_file(artifact.file)
    if artifact.weights is not None:
        check_file(artifact.weights)


def check_file(file: File) -> None:
    """Compares the size and then the SHA-256 of a file with those in the manifest. Raises BundleError."""
    fix = "copy the bundle again, or convert again"
    try:
        with open_regular(Path(file.path)) as data:
            size = os.fstat(data.fileno()).st_size
            if size != file.bytes:
                raise BundleError(file.path, got=f"{size} bytes", expected=f"{file.bytes} bytes", fix=fix)
            sha256 = _sha256(data, size)
    except OSError as error:
        raise BundleError(file.path, got=error.strerror, expected=f"a file of {file.bytes} bytes") from error
    if sha256 != file.sha256:
        raise BundleError(file.path, got=f"sha256 {sha256[:12]}…", expected=f"sha256 {file.sha256[:12]}…", fix=fix)


def describe_file(path: Path, root: Path) -> File:
    """The entry of a file below the bundle's directory ``root``."""
    with open_regular(path) as data:
        size = os.fstat(data.fileno()).st_size
        return File(path=path.relative_to(root).as_posix(), bytes=size, sha256=_sha256(data, size))


def _sha256(file: BinaryIO, size: int) -> str:
    """The digest of the first ``size`` bytes: a file that grows meanwhile is not read for ever."""
    digest = hashlib.sha256()
    while chunk := file.read(min(_CHUNK_BYTES, size)):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def write_bundle(path: Path, fill: Callable[[Path], Bundle], *, overwrite: bool) -> None:
    """Writes a bundle whole or not at all: ``fill`` puts the files into a new directory and returns the manifest, and
    the directory is renamed to ``path`` when all of it is on the disk.

    Raises:
        LinnetError: ``path`` exists and ``overwrite`` is False.
    """
    with new_directory(path, overwrite=overwrite, marker=MANIFEST) as directory:
        write_manifest(directory, fill(directory))


def write_manifest(directory: Path, bundle: Bundle) -> Bundle:
    """Writes ``bundle.json`` below a directory that has all files of the bundle, and checks each of them against it.
    Returns the bundle as it was written, with its schema.
    """
    bundle = msgspec.structs.replace(bundle, schema=oldest_schema(bundle))
    (directory / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n")
    for file in files_of(open_bundle(directory)):
        check_file(file)
    return bundle
