"""The error of training."""

from linnet_devices.errors import LinnetError


class TrainingError(LinnetError):
    """Data, a network or a recipe that cannot be trained."""
