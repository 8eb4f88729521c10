"""What a model file states about itself: one reader for each kind of file. Internal."""
