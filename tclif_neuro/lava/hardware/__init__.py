"""Runs on a board: the choice of models, strict and recorded; the run itself in the guarded child."""
