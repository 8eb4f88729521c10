"""The commands ``linnet train``, ``models`` and ``data``. Internal."""
