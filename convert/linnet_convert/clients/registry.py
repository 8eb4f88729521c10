"""The clients by name: a literal table."""

from __future__ import annotations

import importlib

from linnet_convert.clients.api import Client

CLIENTS = {
    "mediapipe": "linnet_convert.clients.mediapipe:MediaPipe",
    "frigate": "linnet_convert.clients.frigate:Frigate",
    "pycoral": "linnet_convert.clients.pycoral:PyCoral",
}


def load_client(name: str) -> Client:
    """The client of a name in ``CLIENTS``."""
    module, _, attribute = CLIENTS[name].partition(":")
    client: Client = getattr(importlib.import_module(module), attribute)()
    return client
