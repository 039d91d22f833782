"""Carries out a plan: heads and fine-tuning."""
