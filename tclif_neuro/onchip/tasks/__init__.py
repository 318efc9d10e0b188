"""Learning tasks: their recipe, their stream of samples, their run."""
