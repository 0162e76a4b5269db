"""What the OAuth 2.0 provider keeps: clients, codes, sessions, browsers."""
