"""What other servers ask of us, and what we ask of them: the federation API, both ways."""
