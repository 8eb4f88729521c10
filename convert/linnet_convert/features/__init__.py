"""The feature artifacts: the int8 model up to its last feature map, and its pooling and dense layer as ``head.npz``.
Internal.
"""
