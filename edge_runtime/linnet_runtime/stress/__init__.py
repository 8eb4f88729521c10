"""``linnet stress``: the accuracy of models on corrupted photos. Internal."""
