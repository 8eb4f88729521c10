"""Files and folders that are never left half-written, and arrays read with bounds. Internal."""
