"""The settings of a training run: the recipe, its file and its schedules. Internal."""
