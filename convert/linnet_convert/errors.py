"""The error of conversion. Internal."""

from __future__ import annotations

from linnet_devices.errors import LinnetError


class ConversionError(LinnetError):
    """A model that cannot be converted, or whose artifacts do not agree with it."""
