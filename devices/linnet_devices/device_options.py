"""The options behind a device's name: ``delegate:/path/lib.so?option=value&option=value``. Internal."""

from __future__ import annotations

from urllib.parse import unquote

from linnet_devices.errors import DeviceError, Setting


def parse_options(query: str, device: str) -> dict[str, str]:
    """The options in the part of a device's name behind the question mark. A comma in a value is written %2C, because
    commas separate devices. Raises DeviceError for an option without a value.
    """
    options = {}
    for pair in query.split("&") if query else ():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise DeviceError(Setting("device", device), got=f"the option {pair!r}", expected="option=value")
        options[unquote(key)] = unquote(value)
    return options
