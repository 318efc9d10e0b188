"""Pages to look at: one HTML file about finished runs, one that shows a run while it lasts. Nothing here computes."""
