"""What the papers leave open, shown by scripts: each prints its figures (docs/papers.md)."""
