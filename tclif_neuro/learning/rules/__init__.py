"""Learning rules: each turns a batch into one update of a model."""
