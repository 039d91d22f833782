"""What makes training faster by changing layers or memory for its time; one switch turns it off."""
