"""Frozen work, done once: engines, passes and the store."""
