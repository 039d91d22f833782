"""From the bytes of a file to RGB pixels, safely."""
