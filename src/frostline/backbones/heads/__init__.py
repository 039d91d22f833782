"""Classifier heads, and the classifiers that a plan builds."""
