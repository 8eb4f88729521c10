"""The last feature map of a network, and what is computed from it: logits, feature vector, class activation map.
Internal.
"""
