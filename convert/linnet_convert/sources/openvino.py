"""OpenVINO's IR made elsewhere as a source: only OpenVINO reads it, so it is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import openvino

from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Originals
from linnet_convert.readers.openvino import load
from linnet_convert.sources.file import FileSource
from linnet_convert.writers.artifacts import describe_artifact, model_path
from linnet_devices.api import Format, Pixels
from linnet_runtime.bundle import Artifact


class OpenVinoSource(FileSource):
    """See ``Source``. An .xml with its .bin."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return ("openvino",)

    def _write(self, root: Path, formats: set[Format], on_step: OnStep) -> tuple[Artifact, ...]:
        on_step(f"copying {self.path.name}")
        xml = self._copy(root)
        ends = (self.signature.input, self.signature.output)
        weights = xml.with_suffix(".bin")
        return (describe_artifact(root, xml, "openvino", self.facts.precision, ends, weights=weights),)

    def _copy(self, root: Path) -> Path:
        xml, model = model_path(root, "openvino", self.facts.precision), load(self.path)
        if model.is_dynamic():
            openvino.save_model(load(self.path, self.signature.input.shape), xml, compress_to_fp16=False)
        else:
            for suffix in (".xml", ".bin"):
                shutil.copyfile(self.path.with_suffix(suffix), xml.with_suffix(suffix))
        return xml

    def originals(self, pixels: Pixels) -> Originals:
        return Originals.of_file(self.run_file(pixels, "openvino", self._copy), self.facts.precision)
