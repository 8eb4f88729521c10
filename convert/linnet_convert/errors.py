"""The error of conversion."""

from __future__ import annotations

from typing import Any

from linnet_devices.errors import LinnetError, Setting


class ConversionError(LinnetError):
    """A model that cannot be converted, or whose artifacts do not agree with it.

    ``arguments`` are those of ``linnet_convert.convert`` that cure it, by name: the value to pass, None for one that
    must be left out, or ``...`` where only the user knows the value. The fix names them, unless another is given; the
    command line names its options in their place.
    """

    def __init__(
        self,
        what: str | Setting,
        *,
        got: object | None = None,
        expected: object | None = None,
        fix: str | Setting | tuple[str | Setting, ...] | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        self.arguments = arguments or {}
        said = ", ".join(f"{name}={'...' if value is ... else repr(value)}" for name, value in self.arguments.items())
        super().__init__(what, got=got, expected=expected, fix=fix or said or None)
