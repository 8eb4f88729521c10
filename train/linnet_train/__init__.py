"""Training: a folder of photos to a float model and its quantisation-aware twin."""
