"""Augmentation: its settings, its layers, and a page of what the network sees."""
