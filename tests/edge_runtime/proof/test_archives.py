"""The files of canaries and references: what is saved comes back, and a damaged file is one line."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.proof.known_logits import CANARY, KNOWN, NAMES, PIXELS
from linnet_runtime.bundle import Bundle, BundleError, File, Provenance
from linnet_runtime.bundle_files import describe_file
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.proof.canary import load_canary, save_canary
from linnet_runtime.proof.reference import load_reference, photo_digests, save_reference


def bundle_with(path: Path) -> Bundle:
    """An open bundle of the three classes and 4x4 pixels, whose canary and reference are both the file ``path``."""
    found = describe_file(path, path.parent)
    file = File(path=str(path), bytes=found.bytes, sha256=found.sha256)
    return Bundle(
        schema=1,
        name="test",
        labels=NAMES,
        preprocess=Preprocess(height=4, width=4),
        artifacts=(),
        provenance=Provenance(source="a test", created="2025-01-01T00:00:00Z", versions={}),
        canary=file,
        reference=file,
    )


def test_canaries_come_back_as_they_were_saved(tmp_path: Path) -> None:
    save_canary(tmp_path / "canary.npz", CANARY)
    found = load_canary(bundle_with(tmp_path / "canary.npz"))
    assert found is not None
    assert np.array_equal(found.pixels, PIXELS)
    assert np.array_equal(found.logits["model"], KNOWN)
    assert found.tolerance == {"model": 0.5}


def test_a_reference_knows_its_photos_by_their_pixels_whatever_their_order(tmp_path: Path) -> None:
    save_reference(tmp_path / "reference.npz", PIXELS, {"int8": KNOWN})
    reference = load_reference(bundle_with(tmp_path / "reference.npz"))
    assert reference is not None
    assert reference.find(PIXELS[[6, 0, 3]]).tolist() == [6, 0, 3]
    assert np.array_equal(reference.logits["int8"], KNOWN)
    changed = PIXELS[:1].copy()
    changed[0, -1, -1, -1] ^= 1
    assert reference.find(np.concatenate([changed, PIXELS[1:2]])).tolist() == [-1, 1]


def test_a_reference_keeps_no_picture(tmp_path: Path) -> None:
    save_reference(tmp_path / "reference.npz", PIXELS, {"int8": KNOWN})
    with np.load(tmp_path / "reference.npz") as arrays:
        assert set(arrays.files) == {"digests", "int8"}
        assert arrays["digests"].shape == (8, 32)


def archive(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zip_of(content: bytes, name: str = "pixels.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def header(text: str) -> bytes:
    """A .npy file with this header and no data."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def lying() -> bytes:
    """An archive whose directory states that 100 MB are 10 bytes."""
    data = bytearray(zip_of(b"\0" * 100_000_000))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 10)
    return bytes(data)


DIGESTS = photo_digests(PIXELS)
OBJECTS = np.array([print], dtype=object)
ENTRY = b"PK\x01\x02\x14\x03\x14"  # the start of an entry in the directory of an archive: version 2.0
DAMAGED: dict[str, tuple[bytes, str]] = {
    "text": (b"no archive", "File is not a zip file"),
    "nothing": (b"", "File is not a zip file"),
    "a start": (b"PK\x03\x04 cut short", "File is not a zip file"),
    "a .npy in its place": (npy(PIXELS), "File is not a zip file"),
    "no arrays": (zip_of(b"text"), "magic string"),
    "a future version of zip": (
        zip_of(npy(PIXELS)).replace(ENTRY, ENTRY[:-1] + b"\xff"),
        "zip",
    ),
    "a future version of npy": (zip_of(b"\x93NUMPY\x09\x00" + b" " * 100), "format version"),
    "a header of 60 kB": (zip_of(header(" " * 60_000)), "600"),
    "a header of nested lists": (zip_of(header("[" * 5_000)), ""),
    "a header with an open string": (zip_of(header("{'descr': ' ")), ""),
    "a shape of terabytes": (
        zip_of(header("{'descr': '<f8', 'fortran_order': False, 'shape': (8, 1000000000000), }\n")),
        "bytes for",
    ),
    "objects": (
        archive(pixels=OBJECTS, digests=OBJECTS),
        "not of numbers",
    ),
    "text arrays": (archive(pixels=np.array(["a"]), digests=np.array(["a"])), "not of numbers"),
    "a decompression bomb": (zip_of(b"\0" * 100_000_000), "more than"),
    "a bomb that states 10 bytes": (lying(), ""),
}


@pytest.mark.parametrize("load", [load_canary, load_reference])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_of_the_right_hash_is_one_line_that_names_it(
    case: str, load: Callable[[Bundle], object], tmp_path: Path
) -> None:
    content, says = DAMAGED[case]
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"broken\.npz: got .* expected the .* that linnet convert writes") as refused:
        load(bundle_with(path))
    assert says in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


GOOD_CANARY = {"pixels": PIXELS, "logits/model": KNOWN, "tolerance/model": np.array(0.5)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pixels": PIXELS.astype(np.int8)}, "pixels int8 [8, 4, 4, 3], not uint8 [N, 4, 4, 3]"),
        ({"pixels": PIXELS[:, :3]}, "pixels uint8 [8, 3, 4, 3], not uint8 [N, 4, 4, 3]"),
        ({"pixels": PIXELS[0]}, "pixels uint8 [4, 4, 3]"),
        ({"pixels": PIXELS[:0], "logits/model": KNOWN[:0]}, "0 pictures"),
        ({"pixels": PIXELS[:5]}, "5 pictures with logits of [8]"),
        ({"logits/model": KNOWN[:, :2]}, "logits/model float32 [8, 2], not float32 [N, 3]"),
        ({"logits/model": KNOWN.astype(np.float64)}, "logits/model float64"),
        ({"logits/model": KNOWN * np.float32(np.nan)}, "not finite"),
        ({"tolerance/model": np.array([0.5, 0.5])}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(np.nan)}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(-1.0)}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(True)}, "no tolerance/model that is a number"),
    ],
)
def test_canaries_of_other_types_and_shapes_are_one_line(
    change: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    (tmp_path / "canary.npz").write_bytes(archive(**{**GOOD_CANARY, **change}))
    with pytest.raises(BundleError) as refused:
        load_canary(bundle_with(tmp_path / "canary.npz"))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digests": DIGESTS[:, :31]}, "digests uint8 [8, 31], not uint8 [N, 32]"),
        ({"digests": DIGESTS[:7]}, "7 photos with logits of [8]"),
        ({"int8": KNOWN[:, :2]}, "int8 float32 [8, 2], not float32 [N, 3]"),
        ({"int8": np.full_like(KNOWN, np.inf)}, "int8 with values that are not finite"),
    ],
)
def test_references_of_other_types_and_shapes_are_one_line(
    change: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    (tmp_path / "reference.npz").write_bytes(archive(**{"digests": DIGESTS, "int8": KNOWN, **change}))
    with pytest.raises(BundleError) as refused:
        load_reference(bundle_with(tmp_path / "reference.npz"))
    assert says in str(refused.value)
