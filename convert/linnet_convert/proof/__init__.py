"""The evidence in a bundle: parity, comparison layer by layer, coverage of the quantization ranges. Internal."""
