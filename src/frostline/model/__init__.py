"""A finished model: predictions without PyTorch."""
