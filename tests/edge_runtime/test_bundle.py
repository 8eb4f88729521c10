"""Opening a bundle: what is wrong with it is one line that names the place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.small_bundle import LABELS, MODEL, SIDE, WEIGHTS, edit_manifest
from linnet_runtime.bundle import MANIFEST, BundleError, open_bundle
from linnet_runtime.bundle_files import check_file, files_of
from linnet_runtime.classifier import Classifier
from program import PATIENCE_S, linnet, one_line_error

Edit = Callable[[dict[str, Any]], None]


def assign(*place: str | int, to: object) -> Edit:
    """Sets one value of the manifest: ``assign("artifacts", 0, "path", to="x")``."""

    def edit(manifest: dict[str, Any]) -> None:
        where: Any = manifest
        for key in place[:-1]:
            where = where[key]
        where[place[-1]] = to

    return edit


def remove(*place: str | int) -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        where: Any = manifest
        for key in place[:-1]:
            where = where[key]
        del where[place[-1]]

    return edit


def test_a_bundle_says_what_was_written(small_bundle: Path) -> None:
    bundle = open_bundle(small_bundle)
    assert bundle.labels == LABELS
    assert (bundle.preprocess.height, bundle.preprocess.width, bundle.preprocess.crop) == (SIDE, SIDE, "centre")
    assert [artifact.format for artifact in bundle.artifacts] == ["tflite", "openvino"]
    assert bundle.temperature == 1.0


def test_an_open_bundles_files_have_absolute_paths_that_exist(small_bundle: Path) -> None:
    files = files_of(open_bundle(small_bundle))
    assert [Path(file.path).relative_to(small_bundle).as_posix() for file in files] == [
        MODEL,
        "openvino/int8.xml",
        WEIGHTS,
    ]
    for file in files:
        check_file(file)


@pytest.mark.parametrize("take", [shutil.copytree, shutil.move])
def test_a_copied_or_moved_bundle_opens(take: Callable[[Path, Path], object], small_bundle: Path) -> None:
    elsewhere = small_bundle.parent / "on the device" / "renamed.linnet"
    elsewhere.parent.mkdir()
    take(small_bundle, elsewhere)
    for file in files_of(open_bundle(elsewhere)):
        assert Path(file.path).is_relative_to(elsewhere)
        check_file(file)


@pytest.mark.parametrize(
    ("edit", "where", "what"),
    [
        (assign("colour", to=1), "$: ", "unknown field `colour`"),
        (assign("preprocess", "mean", to=0), "$.preprocess: ", "unknown field `mean`"),
        (assign("artifacts", 1, "input", "axis", to=0), "$.artifacts[1].input: ", "unknown field `axis`"),
        (
            assign("artifacts", 0, "weights", to={"path": "x", "bytes": 1, "sha256": "", "url": ""}),
            "$.artifacts[0].weights: ",
            "`url`",
        ),
        (remove("labels"), "$: ", "missing required field `labels`"),
        (remove("artifacts", 0, "sha256"), "$.artifacts[0]: ", "missing required field `sha256`"),
        (assign("labels", to="bolt"), "$.labels", "Expected `array`, got `str`"),
        (assign("labels", 1, to=7), "$.labels[1]: ", "Expected `str`, got `int`"),
        (assign("temperature", to="1"), "$.temperature", "Expected `float`, got `str`"),
        (assign("preprocess", "crop", to="left"), "$.preprocess.crop", "Invalid enum value 'left'"),
        (
            assign("artifacts", 0, "format", to="pickle"),
            "$.artifacts[0].format: ",
            "got 'pickle', expected one of tflite,",
        ),
        (assign("artifacts", 0, "bytes", to=1.5), "$.artifacts[0].bytes: ", "Expected `int`, got `float`"),
        # Well-formed, and yet wrong.
        (assign("schema", to=3), "$.schema", "got 3, expected 1 to 2. Fix: pip install --upgrade linnet"),
        (assign("schema", to=0), "$.schema", "got 0, expected 1 to 2"),
        (assign("schema", to="1"), "$.schema", "Expected `int`, got `str`"),
        (remove("schema"), "$: ", "missing required field `schema`"),
        (assign("labels", to=["bolt"]), "$.labels", "got 1, expected at least two labels"),
        (assign("labels", to=["bolt", "nut"]), "$.artifacts[0].output.shape", "got [1, 3], expected [1, 2]"),
        (assign("artifacts", to=[]), "$.artifacts", "expected at least one artifact"),
        (assign("temperature", to=0), "$.temperature", "got 0.0, expected 0.01 to 100"),
        (assign("temperature", to=1e-45), "$.temperature", "got 1e-45, expected 0.01 to 100"),
        (assign("temperature", to=1e39), "$.temperature", "got 1e+39, expected 0.01 to 100"),
        (assign("preprocess", "height", to=0), "$.preprocess", "got 0x12, expected 1x1 to 8192x8192 pixels"),
        (assign("preprocess", "height", to=10**9), "$.preprocess", "got 1000000000x12, expected 1x1"),
        (assign("artifacts", 0, "output", "scale", to=1e300), "$.artifacts[0].output", "scale"),
        (assign("artifacts", 0, "path", to="model\0.tflite"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "path", to="model\n.tflite"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "path", to="\x1b[31m"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "path", to=""), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "format", to="x" * 10**6), "$.artifacts[0].format", "got 'xxx"),
        (assign("preprocess", "width", to=24), "$.artifacts[0].input.shape", "got [1, 12, 12, 3], expected [1, 12, 24"),
        (assign("artifacts", 1, "input", "shape", to=[-1, 12, 12, 3]), "$.artifacts[1].input.shape", "got [-1, 12"),
        (assign("artifacts", 1, "input", "shape", 0, to=None), "$.artifacts[1].input.shape[0]: ", "Expected `int`"),
        (assign("artifacts", 1, "output", "shape", to=[-1, 3]), "$.artifacts[1].output.shape", "got [-1, 3]"),
        (assign("artifacts", 1, "output", "shape", to=[]), "$.artifacts[1].output.shape", "got []"),
        (assign("artifacts", 0, "path", to="../model.tflite"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "path", to="a/../../b"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 0, "path", to="/etc/passwd"), "$.artifacts[0].path", "a path inside the bundle"),
        (assign("artifacts", 1, "weights", "path", to="/dev/zero"), "$.artifacts[1].weights.path", "inside the bundle"),
        (assign("canary", to={"path": "../c", "bytes": 1, "sha256": ""}), "$.canary.path", "inside the bundle"),
        (assign("reference", to={"path": "/r", "bytes": 1, "sha256": ""}), "$.reference.path", "inside the bundle"),
    ],
)
def test_a_wrong_manifest_is_an_error_that_names_the_json_path(
    edit: Edit, where: str, what: str, small_bundle: Path
) -> None:
    edit_manifest(small_bundle, edit)
    with pytest.raises(BundleError) as refused:
        open_bundle(small_bundle)
    line = str(refused.value)
    assert line.startswith(str(small_bundle / MANIFEST))
    assert where in line
    assert what in line
    assert len(line) < 1000


def test_a_newer_schema_is_refused_before_its_unknown_keys_are(small_bundle: Path) -> None:
    edit_manifest(small_bundle, assign("schema", to=3))
    edit_manifest(small_bundle, assign("heads", to=[]))
    with pytest.raises(BundleError, match="pip install --upgrade linnet"):
        open_bundle(small_bundle)


@pytest.mark.parametrize("text", ["", "{", "not JSON", '{"schema": 1}', "[]", "null", "\xff"])
def test_a_manifest_that_is_no_manifest_is_refused(text: str, small_bundle: Path) -> None:
    (small_bundle / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=r"bundle\.json \$: "):
        open_bundle(small_bundle)


def test_a_manifest_of_gigabytes_is_refused_unread(small_bundle: Path) -> None:
    with (small_bundle / MANIFEST).open("wb") as file:
        file.truncate(10**10)  # sparse: it takes no room
    with pytest.raises(BundleError, match="got more than 10000000 bytes"):
        open_bundle(small_bundle)


@pytest.mark.parametrize("text", [b"[" * 1000, b'{"schema":' * 1000, b'{"schema": 1, "x": ' + b"[" * 100_000])
def test_a_manifest_that_is_nested_too_deeply_is_one_line(text: bytes, small_bundle: Path) -> None:
    (small_bundle / MANIFEST).write_bytes(text)
    with pytest.raises(BundleError, match=r"bundle\.json \$"):
        open_bundle(small_bundle)


@pytest.mark.parametrize("place", [b'"bolt', b'"small', b'"labels'])
def test_a_byte_that_is_not_utf_8_is_one_line(place: bytes, small_bundle: Path) -> None:
    path = small_bundle / MANIFEST
    path.write_bytes(path.read_bytes().replace(place, place + b"\xff"))
    with pytest.raises(BundleError, match=r"bundle\.json \$"):
        open_bundle(small_bundle)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, WEIGHTS])
def test_what_has_no_end_is_refused_at_once(name: str, small_bundle: Path) -> None:
    """A FIFO that nobody writes to, and a device that never ends, in the place of a file."""
    path = small_bundle / name
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path.unlink()
        make(path)
        error = one_line_error(linnet("verify", small_bundle, "--device", "fake", status=1, timeout=PATIENCE_S))
        assert error.startswith(f"{path}: got not a regular file")


def test_a_file_of_another_size_is_not_hashed(small_bundle: Path) -> None:
    with (small_bundle / MODEL).open("ab") as file:
        file.truncate(10**13)  # sparse: it takes no room, and hashing it would take hours
    error = one_line_error(linnet("verify", small_bundle, "--device", "fake", status=1, timeout=PATIENCE_S))
    assert error.startswith(f"{small_bundle / MODEL}: got 10000000000000 bytes, expected ")


def test_errors_name_a_file_by_the_path_that_the_user_gave(small_bundle: Path) -> None:
    overwrite_one_byte(small_bundle / MODEL)
    (small_bundle.parent / "link").symlink_to(small_bundle)
    done = linnet("verify", "link", "--device", "fake", status=1, cwd=small_bundle.parent)
    assert one_line_error(done).startswith(f"link/{MODEL}: got sha256 ")


def test_a_classifier_that_was_opened_by_a_relative_path_outlives_a_change_of_folder(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_bundle.parent)
    with Classifier.open(small_bundle.name, "fake") as classifier:
        assert Path(classifier.session.model.path) == small_bundle / MODEL


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("nowhere.linnet", "no such folder"),
        ("empty", "a folder without bundle.json"),
        ("photo.jpg", "a file"),
        ("photo.jpg/inner", "no such folder"),
    ],
)
@pytest.mark.parametrize("command", [("classify", "p.jpg"), ("run", "--source", "synthetic:"), ("verify",)], ids=str)
def test_what_is_no_bundle_is_named_as_the_user_gave_it_with_the_command_that_makes_one(
    name: str, got: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").touch()
    done = linnet(command[0], name, *command[1:], status=1, cwd=tmp_path)
    assert one_line_error(done) == (
        f"{name}: got {got}, expected a bundle, which is a folder with bundle.json. "
        "Fix: linnet convert RUN --out NAME.linnet makes one"
    )


def overwrite_one_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda path: path.unlink(), "got No such file or directory"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), " bytes, expected "),  # a copy that was cut short
        (overwrite_one_byte, "got sha256 "),  # the same size, another content
    ],
)
@pytest.mark.parametrize("name", [MODEL, WEIGHTS])
def test_a_damaged_file_is_named_by_verify(
    name: str, damage: Callable[[Path], None], got: str, small_bundle: Path
) -> None:
    damage(small_bundle / name)
    error = one_line_error(linnet("verify", small_bundle, "--device", "fake", status=1))
    assert error.startswith(f"{small_bundle / name}: ")
    assert got in error


def test_the_classifier_checks_the_hash_of_the_artifact_that_it_opens_and_of_no_other(small_bundle: Path) -> None:
    overwrite_one_byte(small_bundle / WEIGHTS)
    Classifier.open(small_bundle, "fake").close()  # it takes the .tflite
    overwrite_one_byte(small_bundle / MODEL)
    with pytest.raises(BundleError, match=MODEL):
        Classifier.open(small_bundle, "fake")


def test_a_bundle_of_every_format_names_every_file_that_it_holds(bundle_folder: Path) -> None:
    bundle = open_bundle(bundle_folder)
    named = {Path(file.path).relative_to(bundle_folder).as_posix() for file in files_of(bundle)}
    held = {path.relative_to(bundle_folder).as_posix() for path in bundle_folder.rglob("*") if path.is_file()}
    reports = {name for name in held if name.startswith("report/")}  # to read: no program depends on them
    assert {"report/index.html", "report/parity.json"} <= reports
    assert named == held - reports - {MANIFEST}
    assert {(artifact.format, artifact.precision) for artifact in bundle.artifacts} == {
        ("tflite", "int8"),
        ("tflite", "float32"),
        ("onnx", "int8"),
        ("onnx", "float32"),
        ("openvino", "int8"),
        ("openvino", "float16"),
    }


def test_every_artifact_of_a_converted_bundle_takes_uint8_rgb_nhwc_with_batch_one(bundle_folder: Path) -> None:
    bundle = open_bundle(bundle_folder)
    for artifact in bundle.artifacts:
        taken = artifact.input
        assert (taken.dtype, taken.layout, taken.color, taken.shape) == ("uint8", "NHWC", "rgb", (1, 48, 48, 3))
        assert artifact.output.shape == (1, len(bundle.labels))
        if artifact.is_int8 and artifact.format != "openvino":
            assert (taken.scale, taken.zero_point) == (1 / 128, 128)


def test_the_manifest_is_json_with_relative_paths_only(bundle_folder: Path) -> None:
    text = (bundle_folder / MANIFEST).read_text()
    assert json.loads(text)["schema"] == 1
    assert str(bundle_folder.resolve().parent) not in text
