"""``linnet bench``: latency, load time, memory and accuracy of a bundle on devices in separate processes. Internal."""
