"""The implementations of the commands of `tclif`.

Each module takes plain values, calls the library and returns a frozen result.

Nothing here prints; `tclif_neuro.cli.app` parses before and prints after. Progress is told to a function passed in.
"""
