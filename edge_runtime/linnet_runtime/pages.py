"""HTML pages in one style. Each is a single file that contains its pictures, so that it can be sent by mail.
Internal.
"""

from __future__ import annotations

import base64
import io
import warnings
from importlib import resources
from typing import TYPE_CHECKING, Any

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150  # sharp on screens with two pixels for one


def render_page(package: str, **values: Any) -> str:
    """Renders the template ``page.html`` of a package, which extends ``base.html``. Values are escaped, and a missing
    one is an error.
    """
    templates = {
        "base.html": resources.files("linnet_runtime") / "base.html",
        "page.html": resources.files(package) / "page.html",
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({name: file.read_text() for name, file in templates.items()}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html").render(values)


def png_of(figure: Figure) -> bytes:
    """A plot as a PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a class may be named in any script
        figure.savefig(buffer, dpi=_DPI, format="png")
    return buffer.getvalue()


def png_uri(data: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def thumbnail_uri(picture: NDArray[np.uint8], width: int, height: int) -> str:
    """A picture, uint8 BGR [H, W, 3], as the data URI of a JPEG that fits into ``width`` by ``height`` pixels."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    encoded = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=smooth))[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
