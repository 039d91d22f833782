"""The four cases, the candidates and the decision."""
