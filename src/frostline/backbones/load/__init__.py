"""Find a network and its weights by name, file, folder or module."""
