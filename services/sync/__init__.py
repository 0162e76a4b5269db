"""What a user's devices are told, and when."""
