"""``linnet verify``: hashes, canaries, and parity with the Keras models."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.table import Table

from linnet_devices.api import LinnetError, OpenOptions
from linnet_runtime.bundle import BundleError, open_bundle
from linnet_runtime.commands.options import bundle_argument, data_option, json_option, threads_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.parity import LEAST_AGREEMENT
from linnet_runtime.photos import load_labelled_photos
from linnet_runtime.verification import Verdict, verify_bundle

_GATE = ", ".join(f"{least} in {precision}" for precision, least in LEAST_AGREEMENT.items())


@click.command(
    help="Check a bundle: every hash, each artifact's canaries and, with --data, its accuracy and its top-1 agreement "
    f"with the Keras model that it came from. The agreement's 95 % interval must reach {_GATE}. Needs no TensorFlow."
)
@bundle_argument
@data_option
@click.option("--device", default="cpu", show_default=True, help="Where to run; cpu is each artifact's own engine.")
@threads_option
@json_option
def verify(bundle: Path, data: Path | None, device: str, threads: int | None, as_json: bool) -> None:
    """Runs ``verify_bundle`` and shows its verdicts; the command's help is above."""
    manifest = open_bundle(bundle)
    photos = load_labelled_photos(data, manifest.labels, manifest.preprocess) if data else None
    verdicts = list(verify_bundle(bundle, photos, device=device, options=OpenOptions(threads)))
    run = [verdict for verdict in verdicts if not verdict.skipped]
    passed = bool(run) and all(verdict.passed for verdict in run)
    if as_json:
        click.echo(msgspec.json.encode({"artifacts": [_row(verdict) for verdict in verdicts], "passed": passed}))
    else:
        print_table(_table(verdicts))
    if not run:
        raise LinnetError("linnet verify", got=verdicts[0].skipped if verdicts else "nothing that the device reads")
    failed = [f"{verdict.path} on {verdict.device}" for verdict in run if not verdict.passed]
    if failed:
        raise BundleError(str(bundle), got="not equal: " + ", ".join(failed), expected="parity and canaries that pass")


def _row(verdict: Verdict) -> dict[str, object]:
    parity, canary = verdict.parity, verdict.canary
    return {
        "path": verdict.path,
        "device": verdict.device,
        "agreement": parity and parity.agreement,
        "agreement_low": parity and parity.agreement_low,
        "agreement_high": parity and parity.agreement_high,
        "max_abs_logit_diff": parity and parity.max_abs_logit_diff,
        "accuracy": verdict.accuracy,
        "n": verdict.n,
        "agreement_n": parity.n if parity else 0,
        "canary": canary and {"passed": canary.passed, "difference": canary.difference, "tolerance": canary.tolerance},
        "skipped": verdict.skipped or None,
        "passed": None if verdict.skipped else verdict.passed,
    }


def _table(verdicts: list[Verdict]) -> Table:
    table = plain_table(
        "", ("artifact", "device", "verdict"), ("canary", "agreement", "95 %", "top-1", "photos", "logits off by")
    )
    for verdict in verdicts:
        if verdict.skipped:
            table.add_row(verdict.path or "-", verdict.device, f"not run: {verdict.skipped}")
            continue
        canary, parity = verdict.canary, verdict.parity
        table.add_row(
            verdict.path,
            verdict.device,
            "equal" if verdict.passed else "NOT EQUAL",
            f"{canary.difference:.3g} of {canary.tolerance:.3g}" if canary else "-",
            f"{parity.agreement:.4f}" if parity else "-",
            f"{parity.agreement_low:.3f}..{parity.agreement_high:.3f}" if parity else "-",
            f"{verdict.accuracy:.4f}" if verdict.accuracy is not None else "-",
            str(verdict.n),
            f"{parity.max_abs_logit_diff:.3g}" if parity else "-",
        )
    return table
