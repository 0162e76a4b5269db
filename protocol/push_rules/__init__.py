"""Push rules (§Push Rules): the default ones, a user's own, what an event means by them."""
