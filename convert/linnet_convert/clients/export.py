"""A bundle's folders for clients. They are outside the manifest, as the report is: the bundle's own files stay as they
are, with their logits.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from linnet_convert.clients.api import MODEL, Exported
from linnet_convert.clients.registry import load_client
from linnet_runtime.bundle import open_bundle
from linnet_runtime.files.folders import new_directory

FOLDER = "for"


def export(path: Path, clients: Iterable[str]) -> list[Exported]:
    """Writes ``for/CLIENT/`` into the bundle at ``path`` for each client. A folder is written whole or not at all, and
    replaces an older one.

    Raises:
        ConversionError: the bundle has no model that the client reads rightly.
        BundleError: the bundle is damaged.
    """
    bundle = open_bundle(path)
    exported = []
    for client in map(load_client, clients):
        folder = path / FOLDER / client.name
        with new_directory(folder, overwrite=True, marker=MODEL) as working:
            client.write(bundle, working)
        exported.append(Exported(client.name, folder, client.usage))
    return exported
