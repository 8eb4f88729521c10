"""The conformance suite for authors of sinks."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):
    import pytest

    # pytest shows the values in a failed assert only in modules that were registered before their import.
    pytest.register_assert_rewrite("linnet_runtime.testing.sink_conformance")
