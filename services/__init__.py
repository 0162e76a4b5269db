"""What a homeserver does: rooms, sync, accounts, keys and push, over storage and protocol only."""
