"""The page of explained pictures, a single HTML file."""

from __future__ import annotations

from linnet_runtime.explain.maps import Explained, overlay
from linnet_runtime.pages import render_page, thumbnail_uri

_SIDE = 200  # pixels, of a picture on the page


def render_explained(name: str, explained: list[tuple[str, Explained]]) -> str:
    """The page as HTML; ``explained`` has each picture with the name of its file."""
    return render_page(
        "linnet_runtime.explain",
        name=name,
        explained=[
            (
                file,
                found,
                thumbnail_uri(found.pixels[..., ::-1], _SIDE, _SIDE),
                thumbnail_uri(overlay(found, _SIDE), _SIDE, _SIDE),
            )
            for file, found in explained
        ],
        methods=sorted({found.method for _, found in explained}),
    )
