"""The float neurons: pure steps, whole-sequence scans, torch modules, surrogates."""
