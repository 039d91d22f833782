"""The name that 0.1 had for :mod:`frostline.core.errors`."""

from frostline.core.aliases import moved_module

__getattr__ = moved_module(__name__, "frostline.core.errors")
