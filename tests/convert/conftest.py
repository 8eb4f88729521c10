"""See tests/networks.py."""

from networks import easy_photos, program, pytest_itemcollected, tiny_run  # noqa: F401  # fixtures and a hook
