"""Other libraries: scikit-learn, Lightning, experiment trackers."""
