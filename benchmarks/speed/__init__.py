"""Peers and Frostline on the same images: one file for each peer's job."""
