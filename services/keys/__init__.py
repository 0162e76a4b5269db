"""End-to-end encryption as far as the server has a part in it: it keeps keys and hands them out."""
