"""The answer to a camera that asks for a user and a password: RFC 7616 (Digest) and RFC 7617 (Basic). Internal."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import urllib.request

_CHALLENGE = re.compile(r"(?:^|,\s*)(Basic|Digest)\s+", re.IGNORECASE)
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}  # by what the camera names


def authorization(challenges: list[str], target: str, user: str, password: str) -> str | None:
    """The ``Authorization`` header for a GET of ``target`` (path and query); None where no challenge is understood.

    ``challenges`` are the values of ``WWW-Authenticate``, of which one may hold several. Digest goes before Basic,
    which sends the password itself.
    """
    basic = None
    for challenge in challenges:
        parts = _CHALLENGE.split(challenge)[1:]  # scheme, fields, scheme, fields, ...
        for scheme, fields in zip(parts[::2], parts[1::2], strict=True):
            if scheme.lower() == "basic":
                basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            elif digest := _digest(fields, target, user, password):
                return digest
    return basic


def _digest(challenge: str, target: str, user: str, password: str) -> str | None:
    fields = {key.lower(): value for key, value in _fields(challenge).items()}
    algorithm = fields.get("algorithm", "MD5").upper()
    qualities = [quality.strip() for quality in fields.get("qop", "").split(",")]
    if algorithm not in _HASHES or "nonce" not in fields or not ({"auth", ""} & set(qualities)):
        return None

    def digest(*parts: str) -> str:
        return _HASHES[algorithm](":".join(parts).encode(), usedforsecurity=False).hexdigest()

    secret, request = digest(user, fields.get("realm", ""), password), digest("GET", target)
    answer = {"username": user, "realm": fields.get("realm", ""), "nonce": fields["nonce"], "uri": target}
    if "auth" in qualities:
        once = os.urandom(8).hex()
        response = digest(secret, fields["nonce"], "00000001", once, "auth", request)
        rest = f', qop=auth, nc=00000001, cnonce="{once}"'
    else:  # the older RFC 2069
        response, rest = digest(secret, fields["nonce"], request), ""
    if "opaque" in fields:
        answer["opaque"] = fields["opaque"]
    quoted = ", ".join(f'{key}="{value}"' for key, value in {**answer, "response": response}.items())
    return f"Digest {quoted}, algorithm={algorithm}{rest}"


def _fields(challenge: str) -> dict[str, str]:
    pairs = (field.partition("=") for field in urllib.request.parse_http_list(challenge))
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}
