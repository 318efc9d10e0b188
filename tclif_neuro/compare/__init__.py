"""Comparisons, computed: two runs of integers, float against integers. Nothing here draws or prints."""
