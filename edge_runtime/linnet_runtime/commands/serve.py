"""``linnet serve``: bundles over HTTP, and the live page."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from linnet_devices.api import OpenOptions
from linnet_runtime.commands.options import session_options
from linnet_runtime.server.app import Server
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.server.run import check_tls, listen, read_token, run_server
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.sessions import PrecisionChoice

_DEFAULT = ServeSettings()


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--host", default=_DEFAULT.host, show_default=True, help="The address to listen on; 0.0.0.0 is every one."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=_DEFAULT.port, show_default=True, help="The port; 0 is a free one."
)
@click.option("--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="A further name of this server.")
@click.option(
    "--token-file",
    type=click.Path(),
    help="A file with the token that clients must send.  [default: LINNET_SERVE_TOKEN in the environment, or none]",
)
@click.option("--certificate", type=click.Path(), help="A TLS certificate, PEM: the server speaks HTTPS.")
@click.option("--key", type=click.Path(), help="The certificate's private key, PEM.")
@click.option(
    "--queue",
    type=click.IntRange(min=0),
    default=_DEFAULT.queue,
    show_default=True,
    help="Requests that may wait for a bundle; further ones get 503.",
)
@click.option(
    "--max-body-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.max_body_mb,
    show_default=True,
    help="The largest body of a request, in MiB.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.timeout_s,
    show_default=True,
    help="The most seconds to receive a request, and to answer it.",
)
@session_options
def serve(
    bundles: tuple[Path, ...],
    device: str,
    precision: PrecisionChoice | None,
    options: OpenOptions,
    **settings: object,
) -> None:
    """Serve bundles over HTTP: the Open Inference Protocol, /v1/classify, metrics and a live page.

    Without --host, only programs on this machine can reach it.
    """
    chosen = msgspec.convert(settings, ServeSettings)
    token, tls = read_token(chosen), check_tls(chosen)
    models = Models(bundles, Opening(device, precision, options), chosen.queue)
    with listen(chosen) as listening:
        try:
            for model in models:
                models.load(model)
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            click.echo(msgspec.json.encode({"serving": f"{'https' if tls else 'http'}://{shown}:{port}/"}))
            server = Server(models, chosen, token)
            run_server(server.app(), chosen, listening, lambda: None)
        finally:
            models.close()
        click.echo(msgspec.json.encode({"summary": server.metrics.summary()}))
