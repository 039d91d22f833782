"""The sections of the page, one a file: what is shown, in which order, how much of it."""
