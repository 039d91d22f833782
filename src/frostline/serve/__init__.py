"""The service: one model behind a page and a few endpoints."""
