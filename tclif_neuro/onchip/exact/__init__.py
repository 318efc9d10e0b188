"""The exact rule run: its reference in NumPy, and compiled."""
