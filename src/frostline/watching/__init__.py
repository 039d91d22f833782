"""What comes in against what a model learned from."""
