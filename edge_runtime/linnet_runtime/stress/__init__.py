"""What would break a model: its accuracy on photos that are corrupted as cameras and places corrupt them. Internal."""
