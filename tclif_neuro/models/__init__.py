"""Trained models that come with the library: float weights, in safetensors files."""
