"""Why a picture got its label: maps of what its label depends on, and a page of them. Internal."""
