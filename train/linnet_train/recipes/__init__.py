"""What a training run is told: the recipe, its file and its schedules."""
