"""What classical features get without a network: the figure that a network has to beat. Internal."""
