"""The client-server API, as clients see it."""
