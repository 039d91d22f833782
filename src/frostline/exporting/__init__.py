"""A finished run as files that others can use: ONNX, PyTorch, a folder for a model hub."""
