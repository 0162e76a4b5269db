"""What other servers may ask us: a module a group of endpoints."""
