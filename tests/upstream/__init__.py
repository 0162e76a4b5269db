"""Logins by identity providers and directories."""
