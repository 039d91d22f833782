"""Charts, one a file: where the marks go. They are drawn as SVG by ``svg.py``."""
