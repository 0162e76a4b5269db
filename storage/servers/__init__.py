"""What we keep of and for other servers."""
