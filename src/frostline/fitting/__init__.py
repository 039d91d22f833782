"""One fit: prepare, decide, train, assess, finish."""
