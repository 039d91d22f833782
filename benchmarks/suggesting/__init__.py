"""What labelling the suggested images first is worth, against labelling any."""
