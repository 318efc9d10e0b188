"""Loihi 2 without a chip: what fits, what runs on its stock neurons, and what is known from where. NumPy alone."""
