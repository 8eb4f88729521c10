"""Where results and events go: one file for each kind of sink."""
