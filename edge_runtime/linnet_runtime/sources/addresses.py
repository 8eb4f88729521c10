"""Network addresses in messages. Not public."""

from __future__ import annotations

import re

# From "//" to the last "@": a password may hold "/" and "@" itself. Many cameras take the password in the query.
_USER = re.compile(r"(?<=//)\S*@")
_QUERY = re.compile(r"(?<=://)([^\s?]*)\?\S*")


def without_secrets(text: str) -> str:
    """The text with user names, passwords and queries removed from the addresses in it."""
    return _QUERY.sub(r"\1?...", _USER.sub("", text))
