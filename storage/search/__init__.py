"""The full-text index: what is written to it, what is asked of it."""
