"""What keeps a stream alive: devices checked, watched and replaced when they fail. Internal."""
