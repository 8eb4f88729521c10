"""The clients by name: a literal table."""

from __future__ import annotations

from pkgutil import resolve_name

from linnet_convert.clients.api import Client
from linnet_devices.errors import Setting

CLIENTS = {
    "mediapipe": "linnet_convert.clients.mediapipe:MediaPipe",
    "frigate": "linnet_convert.clients.frigate:Frigate",
    "pycoral": "linnet_convert.clients.pycoral:PyCoral",
}
CLIENTS_SETTING = Setting("clients", flag="for")


def load_client(name: str) -> Client:
    """The client of a name in ``CLIENTS``."""
    client: Client = resolve_name(CLIENTS[name])()
    return client
