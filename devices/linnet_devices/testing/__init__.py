"""For those who write a device, or rehearse its failures: the conformance suite and the fault kit."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # the fault kit needs no pytest
    import pytest

    # pytest shows the values in a failed assert only in modules that it has been told of before their import.
    pytest.register_assert_rewrite("linnet_devices.testing.conformance")
