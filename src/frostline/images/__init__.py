"""Where images come from: sources, the one safe decoder, audit, splits, views."""
