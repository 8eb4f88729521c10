"""From a classification to a decision: where, when, what and how sure. Internal."""
