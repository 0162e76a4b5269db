"""Fuzzing of all that other servers can ask us or answer us."""
