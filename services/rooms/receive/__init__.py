"""Events that other servers send: checking them and placing them in their rooms."""
