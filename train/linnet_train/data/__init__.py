"""A folder or table of photos: which there are, and how they are split."""
