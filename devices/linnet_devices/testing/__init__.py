"""For those who write a device: the conformance suite that every device passes."""

import pytest

# pytest shows the values in a failed assert only in modules that it has been told of before their import.
pytest.register_assert_rewrite("linnet_devices.testing.conformance")
