"""The name that 0.1 had for :mod:`frostline.integrations.tracking`."""

from frostline.core.aliases import moved_module

__getattr__ = moved_module(__name__, "frostline.integrations.tracking")
