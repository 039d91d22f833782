"""What the data says: size, shift by depth, probes by depth.

Modules are imported by name (``frostline.evidence.collect``), so that importing the package
costs nothing.
"""
