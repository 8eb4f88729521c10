"""Files for other people's clients, which take a model's outputs for scores: MediaPipe, Frigate, pycoral. Internal.

``export`` writes ``for/CLIENT/`` into a bundle. Nothing here imports TensorFlow, so that a device can export too.
"""

from linnet_convert.clients.api import Client, Exported
from linnet_convert.clients.export import export
from linnet_convert.clients.registry import CLIENTS, load_client

__all__ = ["CLIENTS", "Client", "Exported", "export", "load_client"]
