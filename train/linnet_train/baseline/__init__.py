"""``linnet baseline``: the accuracy of classical features without a network. Internal."""
