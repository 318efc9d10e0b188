"""What a recipe says, how its file is read, and the model it makes."""
