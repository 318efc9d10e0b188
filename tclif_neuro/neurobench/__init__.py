"""NeuroBench's measures (Yik et al., Nature Communications 2025) of recorded runs: an adapter to its package."""
