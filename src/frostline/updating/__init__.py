"""Go on from a finished run: other images or labels, and whether the new run takes its place."""
