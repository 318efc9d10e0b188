"""Studies of online learning: memory, the gradient's alignment, the decays, and a comparison of neurons and rules."""
