"""What the database keeps for notifications: push rules, pushers, what counts as unread."""
