"""``linnet serve``: bundles over HTTP, and the live page."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from linnet_runtime.commands.live_options import configured, mistakes_at_start, setting_option
from linnet_runtime.live import cameras_of
from linnet_runtime.live_config import LiveConfig
from linnet_runtime.server.app import Server
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.metrics import NOTHING_COUNTED
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.server.run import check_tls, listen, read_token, run_server
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.signals import ended_by_signals

_DEFAULT = ServeSettings()


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@setting_option(
    "--host",
    "serve",
    "host",
    default=_DEFAULT.host,
    show_default=True,
    help="The address to listen on.",
)
@setting_option(
    "--port",
    "serve",
    "port",
    type=click.IntRange(0, 65535),
    default=_DEFAULT.port,
    show_default=True,
    help="The port; 0 is a free one.",
)
@setting_option(
    "--allow-host", "serve", "allow_hosts", multiple=True, metavar="NAME", help="A further name of this server."
)
@setting_option(
    "--token-file",
    "serve",
    "token_file",
    help="A file with the token that clients must send.  [default: LINNET_SERVE_TOKEN in the environment, or none]",
)
@setting_option("--certificate", "serve", "certificate", help="A TLS certificate, PEM: the server speaks HTTPS.")
@setting_option("--key", "serve", "key", help="The certificate's private key, PEM.")
@setting_option(
    "--queue",
    "serve",
    "queue",
    type=click.IntRange(min=0),
    default=_DEFAULT.queue,
    show_default=True,
    help="Requests that may wait for a bundle; further ones get 503.",
)
@setting_option(
    "--max-body-mb",
    "serve",
    "max_body_mb",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.max_body_mb,
    show_default=True,
    help="The largest body of a request, in MiB.",
)
@setting_option(
    "--timeout-s",
    "serve",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.timeout_s,
    show_default=True,
    help="The most seconds to receive a request, and to answer it.",
)
@configured
def serve(bundles: tuple[Path, ...], config: LiveConfig) -> None:
    """Serve bundles over HTTP: the Open Inference Protocol, /v1/classify, metrics and a live page.

    Cameras are labelled by the first bundle. Without --host, only programs on this machine can reach the server.
    """
    settings = config.serve
    opening = Opening(config.device, config.precision, config.open_options(), config.limits())
    with ended_by_signals() as ending, ExitStack() as stack:
        server: Server | None = None
        try:
            ending.may_raise()
            with mistakes_at_start():
                token, tls = read_token(settings), check_tls(settings)
                models = Models(bundles, opening, settings.queue)
                listening = stack.enter_context(listen(settings))
                stack.callback(models.close)
                for model in models:
                    models.load(model)
                cameras = stack.enter_context(LiveCameras(config, cameras_of(config)))
                starting = Server(models, settings, token, cameras)
                cameras.start(models.classifier_of_cameras(), starting.board)
            server = starting
            ending.calls(None)
        except BaseException:
            ending.calls(None)
            if not ending.arrived:
                raise
        if server is not None and not ending.arrived:
            _say_address(listening, tls=tls)
            run_server(server.app(), settings, listening, ending, server.page.end)
            cameras.close()
        summary = server.summary() if server is not None else NOTHING_COUNTED
        click.echo(msgspec.json.encode({"summary": summary}))


def _say_address(listening: socket.socket, *, tls: bool) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(msgspec.json.encode({"serving": f"{'https' if tls else 'http'}://{shown}:{port}/"}))
