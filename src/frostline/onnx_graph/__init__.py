"""ONNX graphs: built, checked and run."""
