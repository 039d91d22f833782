"""Closed-form and convex linear models on features.

Modules are imported by name (``frostline.linear.ridge``), so that importing the package costs
nothing: the models need SciPy, single predictions do not.
"""
