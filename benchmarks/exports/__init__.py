"""Runs in every form that they can be exported to, and what is measured on them."""
