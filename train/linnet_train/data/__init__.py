"""The photos of a folder or table as a data set, and their split. Internal."""
