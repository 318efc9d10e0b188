"""Studies of learning on the chip."""
