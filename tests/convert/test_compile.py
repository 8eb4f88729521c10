"""``linnet compile`` with simulated tools; tests/vendors has the real ones."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from convert.simulated_tool import EDGETPU_COMPILER, VELA, put_program
from linnet_convert.compilers.bundle import compile_bundle, compilers_of
from linnet_convert.compilers.tools import Wanted
from linnet_convert.errors import ConversionError
from linnet_convert.testing.compiler_conformance import CompilerConformance, write_sample_bundle
from linnet_runtime.bundle import MANIFEST, open_bundle
from linnet_runtime.proof.canary import load_canary
from plugins import install_distribution
from program import linnet, one_line_error

TARGET = "ethosu:u65-256"


class TestEthosU(CompilerConformance):
    compiler, target = "ethosu", TARGET

    @pytest.fixture(autouse=True)
    def simulated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put_program(tmp_path, "vela", VELA, monkeypatch)


class TestEdgeTpu(CompilerConformance):
    compiler, target = "edgetpu", "edgetpu"

    @pytest.fixture(autouse=True)
    def simulated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put_program(tmp_path, "edgetpu_compiler", EDGETPU_COMPILER, monkeypatch)


def test_what_edgetpu_compiler_reports_is_in_the_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(tmp_path, "edgetpu_compiler", EDGETPU_COMPILER, monkeypatch)
    (artifact,) = compile_bundle(bundle, compilers_of(["edgetpu"]), on_step=silent)
    assert artifact.compiled
    assert (artifact.compiled.version, artifact.compiled.mapped) == ("16.0.384591198", 35)
    assert artifact.compiled.on_cpu == {"QUANTIZE": 2}
    assert (artifact.compiled.on_chip_bytes, artifact.compiled.off_chip_bytes) == (round(3.21 * 2**20), 0)
    assert artifact.requires == {"delegate": "edgetpu"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_sample_bundle(tmp_path / "colors.linnet")


def silent(_: str) -> None:
    pass


def test_what_vela_reports_is_in_the_bundle(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "vela", VELA, monkeypatch)
    done = json.loads(linnet("compile", bundle, "--target", TARGET, "--json").stdout)
    (row,) = done["compiled"]
    assert (row["format"], row["target"], row["compiler"]) == ("vela", TARGET, "ethos-u-vela")
    assert (row["mapped"], row["on_cpu"]) == (9, {"Softmax": 1})
    assert (row["on_chip_bytes"], row["off_chip_bytes"], row["estimated_ms"]) == (10752, 4096, 2.0)
    assert row["options"]["--accelerator-config"] == "ethos-u65-256"
    assert row["tier"] == "none"
    log = (bundle / row["path"]).with_suffix(".log")
    assert "NPU operators = 9" in log.read_text()
    assert open_bundle(bundle).schema == 2


def test_a_board_brings_its_chip_and_its_memory(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "vela", VELA, monkeypatch)
    (row,) = json.loads(linnet("compile", bundle, "--target", "ethosu:imx93", "--json").stdout)["compiled"]
    assert row["target"] == "ethosu:imx93"
    assert row["options"]["--accelerator-config"] == "ethos-u65-256"
    assert row["options"]["--memory-mode"] == "Dedicated_Sram_384KB"


def test_the_table_says_that_a_latency_is_an_estimate(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(tmp_path, "vela", VELA, monkeypatch)
    table = linnet("compile", bundle, "--target", TARGET).stdout
    assert "estimated, not measured" in table
    assert "2.00 ms" in table


def test_the_canaries_know_the_compiled_model(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has to give the logits of the model that it was compiled from."""
    put_program(tmp_path, "vela", VELA, monkeypatch)
    bundle = Path(shutil.copytree(bundle_folder, tmp_path / "parts.linnet"))
    (made,) = compile_bundle(bundle, compilers_of([TARGET]), on_step=silent)
    canary = load_canary(open_bundle(bundle))
    assert canary is not None
    name = Path(made.path).name
    assert (canary.logits[name] == canary.logits["model.int8.tflite"]).all()
    assert canary.tolerance[name] == canary.tolerance["model.int8.tflite"]
    assert linnet("verify", bundle).stdout.count("equal") == 6  # nothing on the CPU reads the compiled one


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("echo 'Error: no such operator' >&2; echo 'bye'; exit 3", "vela ended with status 3: Error: no such operator"),
        ("exit 1", "vela ended with status 1: it printed nothing"),
        ("kill -SEGV $$", "vela was ended by SIGSEGV"),
        ("echo done", "no model or no summary from vela"),
        (VELA.replace("NPU operators = 9", "NPU operators = 0"), "no operator on the NPU"),
        (VELA.replace('cp "$1"', ": >"), "no file from ethos-u-vela"),
        (VELA.replace("0.002,", "soon,"), "inference_time 'soon', expected a number"),
        (VELA.replace("printf '0.002", ": '0.002"), "got no row"),
    ],
)
def test_a_tool_that_fails_is_one_line_and_the_bundle_is_as_before(
    script: str, what: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(tmp_path, "vela", script, monkeypatch)
    before = (bundle / MANIFEST).read_bytes()
    line = one_line_error(linnet("compile", bundle, "--target", TARGET, status=1))
    assert what in line
    assert (bundle / MANIFEST).read_bytes() == before
    assert not (bundle / "compiled").exists()
    assert not list(bundle.parent.glob(".colors*"))


def test_the_log_of_a_tool_that_failed_is_kept(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "vela", "echo 'Error: this and that'; exit 1", monkeypatch)
    line = one_line_error(linnet("compile", bundle, "--target", TARGET, status=1))
    log = bundle / "report" / "compile-ethosu-u65-256.log"
    assert str(log) in line
    assert log.read_text() == "Error: this and that\n"


def test_a_tool_that_hangs_is_ended_with_its_children(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    put_program(tmp_path, "vela", f"sleep 1000 & echo $! > {pid}; wait", monkeypatch)
    with pytest.raises(ConversionError, match=r"no result of vela within 0\.5 s"):
        compile_bundle(bundle, compilers_of([TARGET]), on_step=silent, within_s=0.5)
    assert pid.exists()
    while _runs(int(pid.read_text())):
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"  # nobody waits for it here


def test_a_tool_that_takes_all_memory_is_refused_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: Python, which reserves 64 GiB of addresses."""
    put_program(tmp_path, "vela", 'exec python3 -c "import time; time.sleep(0.5); bytearray(64 << 30)"', monkeypatch)
    with pytest.raises(ConversionError, match="MemoryError"):
        compile_bundle(bundle, compilers_of([TARGET]), on_step=silent)


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("ethosu:u65-265", "Fix: --target ethosu:u65-256"),
        ("etosu:u65-256", "Fix: --target ethosu:u65-256"),
        ("vulcan", "Fix: linnet devices --compilers"),
        ("", "Fix: linnet devices --compilers"),
    ],
)
def test_an_unknown_target_is_one_line_with_the_nearest(target: str, what: str, bundle: Path) -> None:
    assert what in one_line_error(linnet("compile", bundle, "--target", target, status=1))


def test_a_missing_tool_is_one_line_with_the_fix(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("LINNET_TOOLS", raising=False)
    monkeypatch.setattr("sys.prefix", "/nowhere")
    with pytest.raises(ConversionError) as error:
        compile_bundle(bundle, compilers_of([TARGET]), on_step=silent)
    assert "vela is not installed" in str(error.value)
    assert "pip install ethos-u-vela, and export LINNET_TOOLS=" in str(error.value)


def test_a_tool_in_an_environment_of_its_own_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``LINNET_TOOLS`` names environments; the version is that of the package in the environment."""
    environment = tmp_path / "vela-environment"
    program = environment / "bin" / "vela"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    install_distribution(environment / "lib" / "python3.12" / "site-packages", "ethos_u_vela", "9.8")
    monkeypatch.setenv("LINNET_TOOLS", f"{tmp_path / 'nothing'}:{environment}")
    monkeypatch.setattr("sys.prefix", "/nowhere")
    found = Wanted("ethos-u-vela", program="vela").find()
    assert found is not None
    assert (found.path, found.version) == (program, "9.8")


def test_devices_lists_the_compilers_and_their_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_program(tmp_path, "vela", VELA, monkeypatch)
    rows = {row["compiler"]: row for row in json.loads(linnet("devices", "--compilers", "--json").stdout)["compilers"]}
    assert rows["ethosu"]["available"]
    assert TARGET in rows["ethosu"]["targets"]
    table = linnet("devices", "--compilers").stdout
    assert all(name in table for name in rows)


_PLUGIN = """
from linnet_convert.compilers.api import Product
from linnet_devices.api import Probe

class Chip:
    name, targets, formats, license = "chip-compiler", ("chip:one",), ("tflite",), None

    def probe(self):
        return Probe(True)

    def compile(self, job):
        path = job.folder / "model.chip"
        path.write_bytes(b"compiled")
        return Product(path=path, format="chip", version="1", options={})
"""


def test_a_plugin_compiles(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group ``linnet.compilers`` is a compiler like any other."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "chip_plugin.py").write_text(_PLUGIN)
    install_distribution(site, "chip_plugin", "1.0", "[linnet.compilers]\nchip = chip_plugin:Chip\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    (row,) = json.loads(linnet("compile", bundle, "--target", "chip:one", "--json").stdout)["compiled"]
    assert (row["path"], row["format"]) == ("compiled/chip-one/model.int8_chip-one.chip", "chip")
    near = one_line_error(linnet("compile", bundle, "--target", "chip:on", status=1))
    assert "Fix: --target chip:one" in near


def test_convert_compiles_too(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "vela", VELA, monkeypatch)
    out = tmp_path / "parts.linnet"
    done = linnet("convert", tiny_run, "--out", out, "--formats", "tflite", "--compile", TARGET, "--json")
    (row,) = json.loads(done.stdout)["compiled"]
    assert row["target"] == TARGET
    assert [artifact.compiled_for for artifact in open_bundle(out).artifacts] == [None, None, TARGET]


def test_convert_refuses_an_unknown_target_before_it_works(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.linnet"
    line = one_line_error(linnet("convert", tiny_run, "--out", out, "--compile", "ethosu:u65", status=1))
    assert "Fix: --compile ethosu:u65-" in line
    assert not out.exists()
