"""Application services, as they and their users notice them."""
