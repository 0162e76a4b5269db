"""Our own OAuth 2.0 provider (§OAuth 2.0 API): docs/decisions/0011-oauth.md says how it is made."""
