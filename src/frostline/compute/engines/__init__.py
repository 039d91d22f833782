"""Engines that run a frozen network fast."""
