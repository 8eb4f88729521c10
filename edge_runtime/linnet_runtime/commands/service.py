"""``linnet service``: ``linnet serve`` as a systemd service."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from linnet_devices.api import LinnetError
from linnet_runtime.bundle import open_bundle
from linnet_runtime.live_config import read_live_tables, to_live_config
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.server.unit import Service, unit_of, unreadable, write_unit

_DEFAULT = ServeSettings()
_FILE = click.Path(path_type=Path)


@click.group()
def service() -> None:
    """Run linnet serve as a systemd service."""


@service.command()
@click.argument("bundles", nargs=-1, required=True, type=_FILE)
@click.option("--config", type=_FILE, help="The configuration file, with cameras, decisions and sinks.")
@click.option("--host", help="The address to listen on.  [default: the configuration's, or 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="The port.  [default: the configuration's, or 8000]")
@click.option("--token-file", type=_FILE, help="A file with the token that clients must send; only root need read it.")
@click.option("--certificate", type=_FILE, help="A TLS certificate, PEM.")
@click.option("--key", type=_FILE, help="The certificate's private key, PEM; only root need read it.")
@click.option("--name", default="linnet", show_default=True, help="The name of the unit.")
@click.option(
    "--unit-folder", type=_FILE, default=Path("/etc/systemd/system"), show_default=True, help="Where units are."
)
@click.option("--print", "only_print", is_flag=True, help="Print the unit instead of writing it.")
def install(
    bundles: tuple[Path, ...],
    config: Path | None,
    host: str | None,
    port: int | None,
    token_file: Path | None,
    certificate: Path | None,
    key: Path | None,
    name: str,
    unit_folder: Path,
    only_print: bool,
) -> None:
    """Write a systemd unit that serves BUNDLES, with as few rights as possible and a watchdog."""
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise click.UsageError(f"--name {name!r}: expected letters, digits, - and _")
    for bundle in bundles:
        open_bundle(bundle.absolute())
    configured = to_live_config(*read_live_tables(config)).serve if config else _DEFAULT
    wanted = Service(
        name=name,
        bundles=tuple(bundle.absolute() for bundle in bundles),
        host=host or configured.host,
        port=port or configured.port,
        config=config and config.absolute(),
        token_file=token_file and token_file.absolute(),
        certificate=certificate and certificate.absolute(),
        key=key and key.absolute(),
    )
    for option, path in wanted.secrets.items():
        if not path.is_file():
            raise LinnetError(f"--{option} {path}", got="no such file", expected="a file that root can read")
    text = unit_of(wanted)
    if only_print:
        click.echo(text, nl=False)
        return
    path = unit_folder / f"{name}.service"
    write_unit(path, text)
    readable = [*wanted.bundles, Path(sys.executable), *([wanted.config] if wanted.config else [])]
    for part in unreadable(readable):
        click.echo(f"WARNING: {part} is closed to other users: the service cannot read it. Fix: chmod o+rX", err=True)
    click.echo(f"{path} is written. Now: systemctl daemon-reload && systemctl enable --now {name}")
