"""Why a picture got its label: maps of what the model looked at, and a page of them. Internal."""
