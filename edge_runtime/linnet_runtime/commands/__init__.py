"""The runtime's own commands, one module each. Internal."""
