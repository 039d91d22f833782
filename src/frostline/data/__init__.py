"""Labelled images: the catalog, its sources, safe decoding, duplicates, splits."""
