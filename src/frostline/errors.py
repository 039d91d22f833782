"""Where 0.1 had its errors, which are names of :mod:`frostline` now."""

from frostline.core.aliases import moved_module

__getattr__ = moved_module(__name__, "frostline")
