"""What of an export needs PyTorch: modules and weights, and the graphs made from them."""
