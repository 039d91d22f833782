"""Parts of the study of decisions, ``benchmarks/decision``."""
