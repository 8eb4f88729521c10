"""The evidence that a model is the one that was trained: comparisons of logits, and the page that shows them.
Internal.
"""
