"""For those who write a device: the conformance suite that every device passes."""
