"""Delivery: what a user misses is told through the user's pushers, by one process at a time."""
