"""Network addresses in messages, and the options that Linnet takes from the query of a URI. Internal."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from linnet_devices.errors import Setting
from linnet_runtime.sources.api import SourceError

# From "//" to the last "@": a password may hold "/" and "@" itself. Many cameras take the password in the query.
_USER = re.compile(r"(?<=//)\S*@")
_MOST = 1_000_000_000  # seconds of a time-out that the system can take
_QUERY = re.compile(r"(?<=://)([^\s?]*)\?\S*")


def without_secrets(text: str) -> str:
    """The text with user names, passwords and queries removed from the addresses in it."""
    return _QUERY.sub(r"\1?...", _USER.sub("", text))


def take_options(uri: str, names: Collection[str]) -> tuple[str, dict[str, float]]:
    """Takes ``?name=number&...`` out of the query of a URI.

    Returns:
        The URI without them, the rest of its query untouched, and the options that it had.

    Raises:
        SourceError: an option is not a positive number, or too large a one.
    """
    address, question, query = uri.partition("?")
    kept, options = [], {}
    for part in query.split("&"):
        name, _, text = part.partition("=")
        if name not in names:
            kept.append(part)
            continue
        try:
            options[name] = float(text)
        except ValueError:
            options[name] = math.nan
        if not 0 < options[name] <= _MOST:
            raise SourceError(Setting("source"), got=part, expected=f"{name}= and a positive number, at most {_MOST}")
    return address + question * bool(kept) + "&".join(kept), options
