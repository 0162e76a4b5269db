"""Pages of our own: signing in, letting applications in, looking after an account."""
