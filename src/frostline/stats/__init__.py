"""Statistics and closed-form models on arrays: NumPy and SciPy only."""
