"""The evidence in a bundle: parity, layer by layer, range coverage."""
