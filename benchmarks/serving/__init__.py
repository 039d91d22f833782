"""Load for the service: what is sent, who sends it, and what is written about it."""
