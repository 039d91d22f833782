"""What the benchmark of watching rests on."""
