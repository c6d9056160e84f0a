"""The training recipes, one a model, and what they share."""
