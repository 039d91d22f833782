"""The name that 0.1 had for :mod:`frostline.integrations.sklearn`."""

from frostline.core.aliases import moved_module

__getattr__ = moved_module(__name__, "frostline.integrations.sklearn")
