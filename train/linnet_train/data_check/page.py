"""The page of a data check: every finding with thumbnails, in a single HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from linnet_devices.chatter import no_chatter
from linnet_devices.errors import printable
from linnet_runtime.files.folders import write_whole
from linnet_runtime.pages import render_page, thumbnail_uri
from linnet_runtime.preprocess import PictureError, read_picture
from linnet_train.data_check.findings import KINDS, Check, Finding, keep_together

_FINDINGS = 30  # of each kind: a browser cannot show thousands of pictures
_PICTURES = 6  # of each finding
_FRAME = (180, 120)  # the largest width and height of a thumbnail in pixels


@dataclass(frozen=True)
class _Shown:
    """A finding on the page."""

    finding: Finding
    pictures: list[tuple[str, str]]
    """The first few files, each as (name, data URI)."""


def write_page(page: Path, folder: Path, found: Check) -> None:
    """Writes the page about the checked ``folder``, replacing an older one."""
    sections = []
    with no_chatter():  # libjpeg's messages about damaged photos, which name no file
        for kind, group in groupby(found.findings, key=lambda finding: finding.kind):
            findings = list(group)
            sections.append((kind, *KINDS[kind], findings, [_show(found, finding) for finding in findings[:_FINDINGS]]))
    html = render_page(
        "linnet_train.data_check",
        name=printable(folder.resolve().name),
        found=found,
        advice=keep_together(found, folder),
        sections=sections,
        parts=list(next(iter(found.classes.values()))),
        largest=max(max(count for count in by_part.values()) for by_part in found.classes.values()),
    )
    write_whole(page, html.encode())


def _show(found: Check, finding: Finding) -> _Shown:
    if finding.kind in ("undecodable", "ignored"):
        return _Shown(finding, [])
    return _Shown(finding, [(name, _thumbnail(found.paths[name])) for name in finding.files[:_PICTURES]])


def _thumbnail(path: Path) -> str:
    """The picture as a data URI; empty if the file was removed after the check."""
    try:
        picture = read_picture(path)
    except PictureError:
        return ""
    return thumbnail_uri(picture, *_FRAME)
