"""Augmentation: its settings, its layers, and a page with augmented photos. Internal."""
