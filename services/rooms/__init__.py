"""What happens in rooms: reading them, and everything that changes them."""
