"""The model folder's format: the card, the reader, the writer."""
