"""The conformance suite for authors of devices, and the fault kit, with which failures are rehearsed."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # the fault kit needs no pytest
    import pytest

    # pytest shows the values in a failed assert only in modules that were registered before their import.
    pytest.register_assert_rewrite("linnet_devices.testing.conformance", "linnet_devices.testing.session_conformance")
