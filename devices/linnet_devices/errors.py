"""The errors that a user sees. All of them are one line: what, got, expected, fix. Internal.

LinnetError
├── DeviceError            a device that cannot do what was asked
│   ├── DeviceUnavailable  no library, no hardware or no permission
│   ├── DeviceCrashed      its process ended: an abort, a segmentation fault
│   └── DeviceHung         it gave no answer in time
├── BundleError            a bundle that is damaged, incomplete or too new      (linnet_runtime.bundle)
├── RunError               a run that is damaged, not done, or no run           (linnet_runtime.run_files)
├── PictureError           a picture that cannot be decoded                     (linnet_runtime.preprocess)
├── SourceError            a camera, stream or file that cannot be opened       (linnet_runtime.sources)
├── SettingsError          a configuration file that does not fit               (linnet_runtime.toml_settings)
├── SinkError              a sink that cannot be opened, or did not deliver      (linnet_runtime.sinks)
├── TrainingError          data or a model that cannot be trained               (linnet_train)
└── ConversionError        a model that cannot be converted, or is not equal    (linnet_convert)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CLOSE_ENOUGH = 0.6  # of difflib's 0..1


def printable(text: str) -> str:
    r"""A name as text that JSON, a page and a terminal can hold.

    Linux allows file names that are not UTF-8. Python keeps their bytes as surrogates; each is escaped here, the byte
    E4 as ``\xe4``, so that two names stay two.
    """
    return _NOT_UTF8.sub(lambda surrogate: f"\\x{ord(surrogate[0]) & 0xFF:02x}", text)


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Up to ``most`` of the known names that look like a misspelt one, the nearest first. Upper and lower case count as
    equal.
    """
    by_lower = {one.lower(): one for one in known}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, most, _CLOSE_ENOUGH)]


@dataclass(frozen=True)
class Setting:
    """A parameter of Linnet's Python functions, named in an error. The program shows it as its own option."""

    name: str
    value: str | float | bool | None = None
    placeholder: str = ""
    """Stands for a value that only the user knows: ``FILE``."""
    flag: str = ""
    """The option's name, where a parameter cannot have it: ``for`` is a word of Python."""

    def __str__(self) -> str:
        """``device``, ``device='cpu'`` or ``labels=...``."""
        if self.placeholder:
            return f"{self.name}=..."
        return self.name if self.value is None else f"{self.name}={self.value!r}"

    @property
    def option(self) -> str:
        """``--device``, ``--device cpu`` or ``--labels FILE``."""
        option, value = "--" + (self.flag or self.name).replace("_", "-"), self.placeholder or self.value
        return option if value is None or value is True else f"{option} {value}"


Fix = str | Setting | tuple[str | Setting | tuple[Setting, ...], ...]
"""What cures an error. A tuple holds alternatives; a tuple in it holds settings that are needed together."""


class LinnetError(Exception):
    """A mistake that the user can fix, or a fault that the user must know of."""

    what: str | Setting
    """The thing that is wrong, with its name: ``"photos/bolt"``."""
    got: object | None
    """What was found."""
    expected: object | None
    """What would have been right."""
    fix: Fix | None
    """The next thing to type or do; several are alternatives."""
    reasons: tuple[str | LinnetError, ...]
    """What was found, where that is several errors, one for each thing that was tried."""

    def __init__(
        self,
        what: str | Setting,
        *,
        got: object | None = None,
        expected: object | None = None,
        fix: Fix | None = None,
        reasons: Iterable[str | LinnetError] = (),
    ) -> None:
        self.what, self.got, self.expected, self.fix = what, got, expected, fix
        self.reasons = tuple(reasons)
        super().__init__(self.line())

    def line(self, *, options: bool = False) -> str:
        """The error in one line; with ``options`` each ``Setting`` is an option of the program."""

        def shown(part: object) -> str:
            if isinstance(part, LinnetError):
                return part.line(options=options)
            if isinstance(part, tuple):
                return (" " if options else ", ").join(map(shown, part))
            return part.option if options and isinstance(part, Setting) else str(part)

        line = shown(self.what)
        got = "; ".join(map(shown, self.reasons)) if self.reasons else self.got
        if got is not None:
            line += f": got {got}"
        if self.expected is not None:
            line += f", expected {self.expected}" if got is not None else f": expected {self.expected}"
        if self.fix is not None:
            fixes = self.fix if isinstance(self.fix, tuple) else (self.fix,)
            line += f". Fix: {', or '.join(map(shown, fixes))}"
        line = " ".join(printable(line).split())
        # A file's name, or a file from elsewhere, may hold signs that a terminal obeys.
        return _CONTROL.sub(lambda sign: f"\\x{ord(sign[0]):02x}", line)


class DeviceError(LinnetError):
    """A device that cannot do what was asked of it."""


class DeviceUnavailable(DeviceError):  # noqa: N818  # the state's name says it
    """A device whose library, hardware or permission is missing."""


class DeviceCrashed(DeviceError):  # noqa: N818  # see above
    """A device whose process has ended. The program goes on: see ``linnet_devices.isolated``."""


class DeviceHung(DeviceError):  # noqa: N818  # see above
    """A device that gave no answer in time, and whose process was therefore ended."""
