"""The settings of ``linnet serve``: the table ``[serve]`` of a configuration file."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MEBI = 1 << 20


class ServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server listens, who may ask, and how much it accepts."""

    host: str = "127.0.0.1"
    """The address to listen on. ``"0.0.0.0"`` is every network of the machine."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """The TCP port; 0 lets the system choose."""
    allow_hosts: tuple[str, ...] = ()
    """Further names by which clients may call the server. IP addresses, ``localhost`` and the machine's own name are
    always accepted."""
    token_file: str | None = None
    """A file with the token that clients must send as ``Authorization: Bearer TOKEN``; ``LINNET_SERVE_TOKEN`` in the
    environment is used where there is none."""
    certificate: str | None = None
    """A file with the TLS certificate, in PEM; the server then speaks HTTPS only."""
    key: str | None = None
    """A file with the certificate's private key, in PEM."""
    queue: Annotated[int, Meta(ge=0)] = 1
    """Requests that may wait for a bundle while it works on another; further ones are refused with 503. One keeps an
    accepted request within two inference times."""
    max_body_mb: Annotated[float, Meta(gt=0, le=1e6)] = 16.0
    """The largest body of a request, in MiB."""
    timeout_s: Annotated[float, Meta(gt=0, le=1e9)] = 10.0
    """The most seconds for a client to send its request, and for the server to answer it."""
