"""The conformance suites for authors of sources and sinks."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):
    import pytest

    # pytest shows the values in a failed assert only in modules that were registered before their import.
    pytest.register_assert_rewrite("linnet_runtime.testing.sink_conformance")
    pytest.register_assert_rewrite("linnet_runtime.testing.source_conformance")
