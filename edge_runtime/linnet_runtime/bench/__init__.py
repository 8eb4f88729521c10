"""``linnet bench``: latency, load time, memory and accuracy of a bundle on devices, each in a process of its own."""
