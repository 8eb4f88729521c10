"""OpenVINO's IR made elsewhere as a source: nothing reads it but OpenVINO, so it comes in as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from linnet_convert.errors import ConversionError
from linnet_convert.source import OnStep
from linnet_convert.sources.file import FileSource
from linnet_convert.writers.specs import describe_artifact
from linnet_devices.api import Format, Logits, Pixels
from linnet_runtime.bundle import Artifact

if TYPE_CHECKING:
    import keras


class OpenVinoSource(FileSource):
    """An .xml with its .bin; see ``Source``."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("openvino",)

    @property
    def network(self) -> keras.Model:
        raise ConversionError(str(self.path), got="an IR, which becomes nothing else", expected="--formats openvino")

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.name}")
        names = {"int8": "int8", "float16": "fp16", "float32": "fp32"}
        xml = root / "openvino" / f"{names[self.facts.precision]}.xml"
        xml.parent.mkdir()
        for suffix in (".xml", ".bin"):
            shutil.copyfile(self.path.with_suffix(suffix), xml.with_suffix(suffix))
        ends = (self.signature.input, self.signature.output)
        weights = xml.with_suffix(".bin")
        return (describe_artifact(root, xml, "openvino", self.facts.precision, ends, weights=weights),)

    def reference(self, pixels: Pixels) -> dict[str, tuple[str, Logits]]:
        return self.own_reference(pixels, "openvino")
