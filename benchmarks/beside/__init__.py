"""Two checkouts side by side: their whole cold jobs, their start and their service."""
