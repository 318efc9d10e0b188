"""Readers of published data sets, in the layout in which they are published; none of them downloads anything."""
