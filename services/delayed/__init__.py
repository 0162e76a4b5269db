"""Events that users have their server send later (MSC4140)."""
