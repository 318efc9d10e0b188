"""The network in integers: the step, written once; the NumPy reference and the fast simulator around it."""
