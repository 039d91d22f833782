"""What was computed once is kept on disk under what it rests on."""
