"""Simplified sliding sync (MSC4186): windows on the user's list of rooms, and what is new in them."""
