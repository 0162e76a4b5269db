"""Logging in with what an organisation has already: its identity provider (OpenID Connect, CAS) or its directory (LDAP)."""
