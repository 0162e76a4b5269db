"""What we ask other servers: finding them, knowing their keys, signed requests."""
