"""Where networks come from: loading, tracing, cutting, freezing, heads."""
