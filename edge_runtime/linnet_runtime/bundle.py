"""The bundle: a directory ``NAME.linnet`` with a model in every format, its labels, its preprocessing and its proof.
Internal.

``bundle.json`` is the contract between the machine that trains and the device. It is written whole or not at all,
and nothing in it is executed. A reader refuses keys that it does not know and schemas newer than its own.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import TypeVar, get_args

import msgspec
from msgspec import UNSET, UnsetType

from linnet_devices.api import Format, LinnetError, Model, Precision, TensorSpec
from linnet_runtime.compiled import Compiled
from linnet_runtime.files.folders import read_regular, require_utf8
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.unknown import Unknown

SCHEMA = 2
"""The newest schema. A bundle is written with the oldest that has all its keys: 2 for compiled artifacts, feature
artifacts and a threshold for unknown pictures, else 1."""
MANIFEST = "bundle.json"
TEMPERATURES = (0.01, 100.0)
"""The range of a temperature. Beyond it the probabilities are all 0 and 1, or all equal."""
MOST_SIDE = 8192
"""The largest height and width of a model's input, in pixels."""
MOST_FEATURES = 1 << 24
"""The most numbers of a feature map."""
_MOST_MANIFEST_BYTES = 10_000_000
_MOST_REASON = 300  # characters; a value may be as long as the file
_Kind = TypeVar("_Kind")


class BundleError(LinnetError):
    """A bundle that is damaged, incomplete, or made for a newer Linnet."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of a bundle."""

    path: str
    """Relative to the bundle's folder in ``bundle.json``; in a bundle that ``open_bundle`` gives it begins with the
    path of the folder."""
    bytes: int
    sha256: str
    """In hexadecimal."""


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far an artifact is from the model that it was made from, on photos of the validation part."""

    reference: str
    """The name of that model."""
    n: int
    """The number of photos."""
    agreement: float
    """The share of photos with the same top-1, 0..1."""
    agreement_low: float
    """The lower end of its 95 % interval."""
    agreement_high: float
    max_abs_logit_diff: float
    """The largest difference of a logit."""
    accuracy: float | None = None
    """Top-1 accuracy, 0..1; None where the photos have no labels."""
    reference_accuracy: float | None = None
    """The same of the reference."""


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest's row of one model file."""

    path: str
    """As ``File.path``."""
    format: str
    """One of ``linnet_devices.api.Format``; a compiled artifact has its compiler's: ``"vela"``, ``"qnn-context"``."""
    precision: Precision
    bytes: int
    sha256: str
    input: TensorSpec
    output: TensorSpec
    weights: File | None = None
    """The file beside it that holds its weights: OpenVINO's ``.bin``."""
    requires: dict[str, str] = {}
    """What a reader needs: ``{"onnx_opset": "17"}``. ``{"delegate": "edgetpu"}`` is a model that was compiled for that
    accelerator, which nothing else reads."""
    parity: Parity | None = None
    """None for a compiled artifact that was not run."""
    compiled: Compiled | UnsetType = UNSET
    """How a vendor's compiler made it; absent where none did. Since schema 2."""

    @property
    def file(self) -> File:
        """Its own file, without that of the weights."""
        return File(path=self.path, bytes=self.bytes, sha256=self.sha256)

    @property
    def is_int8(self) -> bool:
        return self.precision == "int8"

    @property
    def compiled_for(self) -> str | None:
        """The target that it was compiled for; None for one that any device may read."""
        return self.compiled.target if self.compiled else self.requires.get("delegate")

    def model(self, root: Path = Path()) -> Model:
        """The model as a device opens it; ``root`` is the bundle's folder where the paths are relative to it."""
        return Model(
            path=str((root / self.path).absolute()),
            format=self.format,
            precision=self.precision,
            input=self.input,
            output=self.output,
            weights=str((root / self.weights.path).absolute()) if self.weights else None,
            compiled_for=self.compiled_for,
        )


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The int8 model up to its last feature map, and what computes the logits from that: global average pooling and one
    dense layer. See linnet_runtime.features.
    """

    artifacts: tuple[Artifact, ...]
    """One in each format, with the feature map [1, h, w, channels] for its output."""
    head: File
    """The dense layer's weights, and the steps to which the int8 model rounds; see linnet_runtime.features.head."""

    @property
    def channels(self) -> int:
        """The length of the feature vector."""
        return self.artifacts[0].output.shape[-1]


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The origin of a bundle."""

    source: str
    """The name of the run or of the model file."""
    created: str
    """The time of the conversion: ISO 8601, UTC."""
    versions: dict[str, str]
    """The version of each package that took part."""


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of ``bundle.json``."""

    schema: int = 1
    """The version of this format, 1 or 2. ``write_manifest`` sets the oldest that has all keys."""
    name: str
    labels: tuple[str, ...]
    """The classes, in the order of the logits."""
    preprocess: Preprocess
    """The way from a picture to the model's pixels, the same for all artifacts."""
    artifacts: tuple[Artifact, ...]
    provenance: Provenance
    temperature: float = 1.0
    """The divisor of the logits before the softmax, within ``TEMPERATURES``."""
    metrics: dict[str, float] = {}
    """The run's figures on its test part: ``{"float_top1": 0.86}``."""
    canary: File | None = None
    """Pictures whose logits are known; see linnet_runtime.proof.canary."""
    reference: File | None = None
    """The Keras models' logits on the validation photos; see linnet_runtime.proof.reference."""
    features: Features | UnsetType = UNSET
    """The feature artifacts, which explain labels; absent unless they were requested. Since schema 2."""

    unknown: Unknown | UnsetType = UNSET
    """When a picture is unknown; absent if every picture gets a label. Since schema 2."""

    def rows(self) -> list[tuple[str, Artifact]]:
        """Every artifact with its JSON path, also those of ``features``."""
        rows = [(f"$.artifacts[{i}]", artifact) for i, artifact in enumerate(self.artifacts)]
        of_features = self.features.artifacts if self.features else ()
        return rows + [(f"$.features.artifacts[{i}]", artifact) for i, artifact in enumerate(of_features)]


def open_bundle(path: Path, *, absolute: bool = False) -> Bundle:
    """Reads and checks ``bundle.json``. The paths of the files begin with ``path`` as it is given, or with its absolute
    form. Their hashes are checked by ``check_file``, when a file is used.

    Raises:
        BundleError: with the JSON path of what is wrong, what was found and what was expected.
    """
    return _placed(path.absolute() if absolute else path, read_manifest(path))


def read_manifest(path: Path) -> Bundle:
    """As ``open_bundle``, with the paths that ``bundle.json`` has: relative to the bundle's folder."""
    require_utf8(path.absolute(), "the engines open no other", BundleError)
    manifest = path / MANIFEST
    try:
        data = read_regular(manifest, _MOST_MANIFEST_BYTES)
    except OSError as error:
        raise _no_bundle(path, error) from error
    schema = _decode(manifest, data, _Header).schema
    if not 1 <= schema <= SCHEMA:
        raise BundleError(
            f"{manifest} $.schema", got=schema, expected=f"1 to {SCHEMA}", fix="pip install --upgrade linnet"
        )
    bundle = _decode(manifest, data, Bundle)
    _check_contents(manifest, bundle)
    return bundle


def _no_bundle(path: Path, error: OSError) -> BundleError:
    """The error about a path at which there is no manifest that can be read."""
    what, got = path, f"a folder without {MANIFEST}"
    if path.is_file():
        got = "a file"
    elif not path.exists():
        got = "no such folder"
    elif (path / MANIFEST).exists():
        what, got = path / MANIFEST, error.strerror or str(error)
    return BundleError(
        str(what),
        got=got,
        expected=f"a bundle, which is a folder with {MANIFEST}",
        fix="linnet convert RUN --out NAME.linnet makes one",
    )


class _Header(msgspec.Struct):
    """What a manifest of any schema has; it is read first, so that a newer schema is not reported as unknown keys."""

    schema: int


def _decode(manifest: Path, data: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        # The text of msgspec ends in the JSON path: "Expected `int`, got `str` - at `$.labels[1]`".
        what, _, place = str(error).partition(" - at ")
        raise BundleError(f"{manifest} {place.strip('`') or '$'}: {what[:_MOST_REASON]}") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{manifest} $: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise BundleError(f"{manifest} $: arrays or objects nested too deeply") from error


def _check_contents(manifest: Path, bundle: Bundle) -> None:
    """Checks what types alone cannot say."""

    def require(holds: bool, where: str, got: object, expected: object) -> None:
        if not holds:
            raise BundleError(f"{manifest} {where}", got=got, expected=expected)

    require(len(bundle.labels) > 1, "$.labels", len(bundle.labels), "at least two labels")
    require(len(bundle.artifacts) > 0, "$.artifacts", "none", "at least one artifact")
    oldest = oldest_schema(bundle)
    require(bundle.schema >= oldest, "$.schema", bundle.schema, f"{oldest}, whose keys the bundle has")
    low, high = TEMPERATURES
    require(low <= bundle.temperature <= high, "$.temperature", bundle.temperature, f"{low:g} to {high:g}")
    size = bundle.preprocess
    fits = min(size.height, size.width) >= 1 and max(size.height, size.width) <= MOST_SIDE
    require(fits, "$.preprocess", f"{size.height}x{size.width}", f"1x1 to {MOST_SIDE}x{MOST_SIDE} pixels")
    files = {"$.canary": bundle.canary, "$.reference": bundle.reference}
    if bundle.features:
        require(len(bundle.features.artifacts) > 0, "$.features.artifacts", "none", "at least one artifact")
        files["$.features.head"] = bundle.features.head
    for where, artifact in bundle.rows():
        files |= {where: artifact.file, f"{where}.weights": artifact.weights}
    for where, file in files.items():
        name = file.path if file else "-"
        parts = PurePosixPath(name).parts
        inside = bool(parts) and parts[0] != "/" and ".." not in parts
        # A NUL ends a path for the kernel, and a line break or an escape sequence would reach the terminal.
        require(inside and name.isprintable(), f"{where}.path", repr(name)[:_MOST_REASON], "a path inside the bundle")
    for where, artifact in bundle.rows():
        plain = get_args(Format)
        known = artifact.format.isprintable() if artifact.compiled else artifact.format in plain
        require(known, f"{where}.format", repr(artifact.format[:_MOST_REASON]), "one of " + ", ".join(plain))
        target = artifact.compiled_for or ""
        require(target.isprintable(), f"{where}.compiled.target", repr(target[:_MOST_REASON]), "a target's name")
        layout = artifact.input.layout
        sides = {"NHWC": (1, size.height, size.width, 3), "NCHW": (1, 3, size.height, size.width)}.get(layout)
        require(artifact.input.shape == sides, f"{where}.input.shape", list(artifact.input.shape), list(sides or ()))
        shape, is_map = artifact.output.shape, artifact.output.values == "features"
        require(is_map == (".features" in where), f"{where}.output.values", artifact.output.values, "another one")
        if is_map:
            channels = bundle.features.channels if bundle.features else 0
            expected = f"[1, h, w, {channels}] of at most {MOST_FEATURES} numbers"
            fits = len(shape) == 4 and min(shape) >= 1 and (shape[0], shape[3]) == (1, channels)
            require(fits and math.prod(shape) <= MOST_FEATURES, f"{where}.output.shape", list(shape), expected)
        else:
            as_labelled = [length for length in shape if length != 1] == [len(bundle.labels)]
            require(as_labelled, f"{where}.output.shape", list(shape), [1, len(bundle.labels)])


def oldest_schema(bundle: Bundle) -> int:
    """The oldest schema that has all keys of the bundle."""
    compiled = any(artifact.compiled for artifact in bundle.artifacts)
    return 2 if compiled or bundle.features or bundle.unknown else 1


def compiled_from(bundle: Bundle, artifact: Artifact) -> Artifact | None:
    """The artifact that a compiled one was made from; None where the bundle has another in its place, or none."""
    wanted = artifact.compiled.source_sha256 if artifact.compiled else ""
    plain = (source for source in bundle.artifacts if source.compiled_for is None)
    return next((source for source in plain if source.sha256 == wanted), None)


def _placed(root: Path, bundle: Bundle) -> Bundle:
    def file(relative: File | None) -> File | None:
        return relative and msgspec.structs.replace(relative, path=str(root / relative.path))

    def placed(artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
        return tuple(
            msgspec.structs.replace(artifact, path=str(root / artifact.path), weights=file(artifact.weights))
            for artifact in artifacts
        )

    features = bundle.features
    if features:
        head = msgspec.structs.replace(features.head, path=str(root / features.head.path))
        features = Features(artifacts=placed(features.artifacts), head=head)
    return msgspec.structs.replace(
        bundle,
        artifacts=placed(bundle.artifacts),
        canary=file(bundle.canary),
        reference=file(bundle.reference),
        features=features,
    )
