"""The run folder: what a fit writes, and how it survives a kill."""
