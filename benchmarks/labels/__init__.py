"""What is said of several labels, measured on real images."""
