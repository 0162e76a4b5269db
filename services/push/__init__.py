"""Notifications: users' push rules, what counts as unread, pushers."""
