"""All sentences for people."""
