"""Conversion: a run to a bundle, every format from one quantised graph, with proof."""
