"""``linnet verify``: hashes, canaries, and parity with the Keras models."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.table import Table

from linnet_devices.api import LinnetError, OpenOptions
from linnet_runtime.bundle import BundleError, open_bundle
from linnet_runtime.commands.options import (
    bundle_argument,
    data_option,
    json_option,
    max_drop_option,
    page_renderer,
    threads_option,
)
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.folders import write_whole
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.proof.gates import gate_words
from linnet_runtime.proof.verification import Verdict, report_of, verify_bundle
from linnet_runtime.proof.write_parity import write_parity


@click.command(
    help="Check a bundle: the hash of every file, the canaries of each artifact and, with --data, the accuracy of each "
    f"artifact and its parity with the model that it was made from. The gates: {gate_words()}. An artifact that could "
    'be compared with nothing is "not proven", and the exit status is 1. TensorFlow is not needed.'
)
@bundle_argument
@data_option
@max_drop_option
@click.option("--page", type=click.Path(path_type=Path), help="Write an HTML page about the comparison to this file.")
@click.option("--device", default="cpu", show_default=True, help="The device; cpu runs each artifact in its engine.")
@click.option(
    "--write",
    is_flag=True,
    help="Write the parity of compiled models into the bundle, and whether the device is the hardware or a simulator.",
)
@threads_option
@json_option
def verify(
    bundle: Path,
    data: Path | None,
    max_drop: float | None,
    page: Path | None,
    device: str,
    write: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Runs ``verify_bundle`` and shows its verdicts; the decorator holds the command's help."""
    for flag, value in (("--max-drop", max_drop), ("--page", page), ("--write", write or None)):
        if value is not None and data is None:
            raise LinnetError(flag, got="no photos", expected="photos to compare on", fix=f"--data DATA with {flag}")
    if "," in device:
        raise LinnetError("--device", got=device, expected="one device: a proof for one says nothing about the next")
    render = page_renderer("linnet_runtime.proof.page", "render_proof") if page is not None else None
    manifest = open_bundle(bundle)
    photos = load_labelled_photos(data, manifest.labels, manifest.preprocess) if data else None
    verdicts = list(verify_bundle(bundle, photos, device=device, options=OpenOptions(threads), max_drop=max_drop))
    if write and any(not verdict.skipped for verdict in verdicts):
        verdicts = write_parity(bundle, verdicts)
    run = [verdict for verdict in verdicts if not verdict.skipped]
    passed = bool(run) and all(verdict.passed for verdict in run)
    if as_json:
        click.echo(msgspec.json.encode({"artifacts": [_row(verdict) for verdict in verdicts], "passed": passed}))
    else:
        print_table(_table(verdicts))
    if not run:
        raise LinnetError("linnet verify", got=verdicts[0].skipped if verdicts else "nothing that the device reads")
    if page is not None and render is not None and photos is not None:
        write_whole(page, render(report_of(str(bundle), run, max_drop), photos.pixels).encode())
    _refuse_failed(bundle, run)


def _refuse_failed(bundle: Path, run: list[Verdict]) -> None:
    """Raises BundleError where an artifact missed a gate, and where one was compared with nothing."""

    def named(verdict: Verdict, why: str) -> str:
        return f"{verdict.path} on {verdict.device} ({why})"

    if failed := [named(verdict, "; ".join(verdict.failed)) for verdict in run if verdict.failed]:
        raise BundleError(str(bundle), got="not equal: " + ", ".join(failed), expected="parity and canaries that pass")
    if unproven := [named(verdict, verdict.unproven) for verdict in run if verdict.unproven]:
        raise BundleError(
            str(bundle),
            got="not proven: " + ", ".join(unproven),
            expected="something to compare each artifact with",
            fix="--data with the run that the bundle was made from, or convert again",
        )


def _row(verdict: Verdict) -> dict[str, object]:
    found, canary, accuracy = verdict.comparison, verdict.canary, verdict.accuracy
    difference = found.difference if found else None
    return {
        "path": verdict.path,
        "device": verdict.device,
        "tier": verdict.tier,
        "agreement": found and found.agreement.value,
        "agreement_low": found and found.agreement.low,
        "agreement_high": found and found.agreement.high,
        "max_abs_logit_diff": found and found.steps.max * found.steps.step,
        "accuracy": accuracy and accuracy.value,
        "accuracy_low": accuracy and accuracy.low,
        "accuracy_high": accuracy and accuracy.high,
        "n": accuracy.n if accuracy else 0,
        "agreement_n": found.agreement.n if found else 0,
        "logit_steps": found and found.steps,
        "difference": difference,
        "flips": found.flips if found else [],
        "classes": found.classes if found else [],
        "canary": canary and {"passed": canary.passed, "difference": canary.difference, "tolerance": canary.tolerance},
        "skipped": verdict.skipped or None,
        "failed": verdict.failed,
        "not_proven": verdict.unproven or None,
        "passed": None if verdict.skipped else verdict.passed,
    }


def _table(verdicts: list[Verdict]) -> Table:
    table = plain_table(
        "",
        ("artifact", "device", "on", "verdict"),
        ("canary", "agreement", "95 %", "photos", "logits off by, steps", "top-1", "photos"),
    )
    for verdict in verdicts:
        if verdict.skipped:
            table.add_row(verdict.path or "-", verdict.device, "-", f"not run: {verdict.skipped}")
            continue
        canary, found, accuracy = verdict.canary, verdict.comparison, verdict.accuracy
        table.add_row(
            verdict.path,
            verdict.device,
            verdict.tier,
            "NOT EQUAL" if verdict.failed else "not proven" if verdict.unproven else "equal",
            f"{canary.difference:.3g} of {canary.tolerance:.3g}" if canary else "-",
            f"{found.agreement.value:.4f}" if found else "-",
            f"{found.agreement.low:.3f}..{found.agreement.high:.3f}" if found else "-",
            str(found.agreement.n) if found else "-",
            f"{found.steps.max:.3g}" if found else "-",
            f"{accuracy.value:.4f}" if accuracy else "-",
            str(accuracy.n) if accuracy else "-",
        )
    return table
