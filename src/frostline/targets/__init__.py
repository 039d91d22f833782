"""What is predicted of an image, behind one protocol: one file for each kind."""
