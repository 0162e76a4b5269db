"""Clients and servers that others wrote, run against this server."""
