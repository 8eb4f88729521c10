"""The conformance suite for authors of compilers."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):
    import pytest

    # pytest shows the values in a failed assert only in modules that were registered before their import.
    pytest.register_assert_rewrite("linnet_convert.testing.compiler_conformance")
