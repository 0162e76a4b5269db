"""Our OAuth 2.0 provider, as browsers and clients meet it."""
