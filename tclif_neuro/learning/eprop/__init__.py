"""e-prop: per layer its traces, per sample its learner; in torch, by chunks, compiled."""
