"""``linnet demo``: the whole way on rendered photos, as ordinary commands, and a page about it. Internal."""
