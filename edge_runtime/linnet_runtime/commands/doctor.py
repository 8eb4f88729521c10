"""``linnet doctor``: which part of the way to each device is broken, and the fix."""

from __future__ import annotations

import click
import msgspec

from linnet_devices.api import LinnetError
from linnet_runtime.commands.options import json_option
from linnet_runtime.doctor import Chain, System, examine


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Walk from each accelerator and camera to the engine: a line and a fix for every broken link.

    The exit status is 1 if a link is broken: something is present and cannot be used. Absent hardware, and a link that
    works slowly, do not change it from 0.
    """
    chains = list(examine(System()))
    broken = [f"{chain.chain}: {link.link}" for chain in chains for link in chain.links if link.state == "broken"]
    if as_json:
        click.echo(msgspec.json.encode({"chains": chains, "broken": len(broken)}))
    else:
        for chain in chains:
            click.echo("\n".join(_lines(chain)))
    if broken:
        raise LinnetError("linnet doctor", got=f"broken: {', '.join(broken)}", fix="follow the output from the top")


def _lines(chain: Chain) -> list[str]:
    """Each link that has a fix, in a line with the fix below, or else one line for the chain."""
    fixable = [link for link in chain.links if link.fix]
    if not fixable:
        shown = (f"{link.link}: {link.found}" for link in chain.links if link.state == chain.state)
        return [_line(chain.chain, chain.state, "; ".join(shown))]
    lines = []
    for link in fixable:
        lines += [_line(chain.chain, link.state, f"{link.link}: {link.found}"), _line("", "", f"Fix: {link.fix}")]
    return lines


def _line(chain: str, state: str, what: str) -> str:
    return f"{chain:<10} {state:<8} {what}"
