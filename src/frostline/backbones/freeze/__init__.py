"""Which layers train: freezing, selecting, parameter groups."""
