"""The contents of a recipe, the reading of its file, and the model it makes."""
