"""``python -m frostline``."""

from frostline.cli.main import run

run()
