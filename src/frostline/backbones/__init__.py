"""Pretrained networks: loading, tracing, cutting, freezing, heads."""
