"""The error of conversion."""

from linnet_devices.errors import LinnetError


class ConversionError(LinnetError):
    """A model that cannot be converted, or whose conversion is not equal to it."""
