"""Copies of one image: exact, altered, shifted, rotated."""
