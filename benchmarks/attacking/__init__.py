"""The parts of the reliability study: each attacks one promise, counts, and says what it found."""
