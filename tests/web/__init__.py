"""The front door, the router and the readers of requests."""
