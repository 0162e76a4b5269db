"""Accounts: who may log in, with what, and what an access token stands for."""
