"""The feature artifacts: an int8 model up to its last feature map, and the rest of it as numbers in the bundle.
Internal.
"""
