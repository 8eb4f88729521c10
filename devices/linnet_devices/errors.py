"""The errors that a user sees. All of them are one line: what, got, expected, fix.

LinnetError
├── DeviceError            a device that cannot do what was asked
│   ├── DeviceUnavailable  it is not here: no library, no hardware, no permission
│   ├── DeviceCrashed      its process ended: an abort, a segmentation fault
│   └── DeviceHung         it gave no answer in time
├── BundleError            a bundle that is damaged, incomplete or too new      (linnet_runtime.bundle)
├── RunError               a run that is damaged, not done, or no run           (linnet_runtime.run_files)
├── PictureError           a picture that cannot be decoded                     (linnet_runtime.preprocess)
├── SourceError            a camera, stream or file that cannot be opened       (linnet_runtime.sources)
├── TrainingError          data or a model that cannot be trained               (linnet_train)
└── ConversionError        a model that cannot be converted, or is not equal    (linnet_convert)
"""

from __future__ import annotations

import re

_NOT_UTF8 = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    r"""A name as text that JSON, a page and a terminal can hold.

    Linux allows file names that are not UTF-8. Python keeps their bytes as surrogates; each is escaped here, the byte
    E4 as ``\xe4``, so that two names stay two.
    """
    return _NOT_UTF8.sub(lambda surrogate: f"\\x{ord(surrogate[0]) & 0xFF:02x}", text)


class LinnetError(Exception):
    """A mistake that the user can fix, or a fault that the user must know of.

    Args:
        what: the thing that is wrong, with its name: ``"photos/bolt"``.
        got: what was found.
        expected: what would have been right.
        fix: the next thing to type or do.
    """

    def __init__(
        self, what: str, *, got: object | None = None, expected: object | None = None, fix: str | None = None
    ) -> None:
        self.what, self.got, self.expected, self.fix = what, got, expected, fix
        line = what
        if got is not None:
            line += f": got {got}"
        if expected is not None:
            line += f", expected {expected}" if got is not None else f": expected {expected}"
        if fix is not None:
            line += f". Fix: {fix}"
        super().__init__(printable(" ".join(line.split())))


class DeviceError(LinnetError):
    """A device that is here but cannot do what was asked of it."""


class DeviceUnavailable(DeviceError):  # noqa: N818  # the state's name says it
    """A device that is not here: its library, hardware or permission is missing."""


class DeviceCrashed(DeviceError):  # noqa: N818  # see above
    """A device whose process has ended. The program goes on: see ``linnet_devices.isolated``."""


class DeviceHung(DeviceError):  # noqa: N818  # see above
    """A device that gave no answer in time, and whose process was therefore ended."""
