"""The learning rule: its equations, its rounding, the weights it changes, and its setup."""
