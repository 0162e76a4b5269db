"""Servers as pure state over a network that does its worst: what they agree on once it is well again."""
