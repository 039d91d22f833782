"""Frozen layers, run once: engines, passes and the cache."""
