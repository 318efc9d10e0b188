"""Drawing: tables, plots and the terminal, of results that were computed elsewhere."""
