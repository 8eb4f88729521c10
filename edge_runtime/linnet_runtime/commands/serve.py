"""``linnet serve``: bundles over HTTP, and the live page."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from linnet_devices.api import LinnetError, Setting
from linnet_runtime.camera import Camera
from linnet_runtime.commands.options import session_options
from linnet_runtime.live_config import FLAGS, LiveConfig, read_live_tables, to_live_config
from linnet_runtime.server.app import Server
from linnet_runtime.server.board import Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.server.run import check_tls, listen, read_token, run_server
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.sinks.api import Stream
from linnet_runtime.sinks.registry import open_sinks
from linnet_runtime.sources import open_source

_DEFAULT = ServeSettings()
_SERVER = msgspec.structs.fields(ServeSettings)
_DEVICES = ("device", "precision", "threads", "allow_fallback", "require_placement")


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--config", type=click.Path(path_type=Path), help="A TOML file with cameras, decisions, sinks and [serve]."
)
@click.option("--source", help="The only camera, without a file: what linnet run --source takes.")
@click.option("--host", default=_DEFAULT.host, show_default=True, help="The address to listen on; 0.0.0.0 is all.")
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
@click.pass_context
def serve(ctx: click.Context, /, bundles: tuple[Path, ...], **_flags: object) -> None:
    """Serve bundles over HTTP: the Open Inference Protocol, /v1/classify, metrics and a live page.

    Cameras are labelled by the first bundle. Without --host, only programs on this machine can reach the server.
    """
    config = _config(ctx)
    settings = config.serve
    token, tls = read_token(settings), check_tls(settings)
    opening = Opening(config.device, config.precision, config.open_options(), config.limits())
    models = Models(bundles, opening, settings.queue)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(settings))
        stack.callback(models.close)
        for model in models:
            models.load(model)
        classifier = models.classifier_of_cameras()
        board = Board()
        cameras = LiveCameras([Camera(partial(open_source, one.source), one) for one in config.camera])
        stream = Stream(
            labels=classifier.bundle.labels,
            bundle=models.first.name,
            cameras={one.name: tuple(region.name if region else "" for region in one.regions) for one in config.camera},
            statistics=cameras.summary,
            request=cameras.request,
        )
        sinks = stack.enter_context(open_sinks(config, stream, board))
        stack.enter_context(cameras)  # closed first: nothing is put into closed sinks
        cameras.start(classifier, sinks.put)
        server = Server(models, settings, token, cameras, board)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        click.echo(msgspec.json.encode({"serving": f"{'https' if tls else 'http'}://{shown}:{port}/"}))
        run_server(server.app(), settings, listening, server.page.end)
        cameras.close()
        summary: dict[str, Any] = {**server.metrics.summary()}
        if config.camera:
            summary |= {"cameras": cameras.summary()}
    summary["sinks"] = sinks.summary()  # final now that they are closed
    click.echo(msgspec.json.encode({"summary": summary}))


def _config(ctx: click.Context) -> LiveConfig:
    """The configuration file with the flags that were typed over it. Raises LinnetError."""
    typed = {
        name: value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    path: Path | None = typed.get("config")
    tables, origin = read_live_tables(path) if path else ({}, FLAGS)
    if "source" in typed:
        if "camera" in tables:
            expected = "cameras in the file, or one by its source"
            raise LinnetError(Setting("source"), got=f"cameras in {path} too", expected=expected)
        tables["camera"] = [{"source": typed["source"]}]
    tables |= {name: typed[name] for name in _DEVICES if name in typed}
    own = {field.name: typed[field.name] for field in _SERVER if field.name in typed}
    if own and isinstance(tables.get("serve", {}), dict):
        tables["serve"] = tables.get("serve", {}) | own
    return to_live_config(tables, origin)
