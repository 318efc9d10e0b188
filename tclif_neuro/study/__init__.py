"""Studies: many trainings, or one evaluation in slices, as jobs that are each done once, here or on a cluster."""
