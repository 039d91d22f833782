"""A network as a graph: trace it, find its cuts, take a subgraph."""
