"""The error of this package. Internal."""

from linnet_devices.errors import LinnetError


class TrainingError(LinnetError):
    """Data, a network or a recipe that cannot be trained."""
