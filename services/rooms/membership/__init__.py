"""Joining, leaving, inviting and the other ways to change who is in a room."""
