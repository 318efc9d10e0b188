"""On-chip learning as Lava processes: the exact rule, and the variants of Lava's own learning engine."""
