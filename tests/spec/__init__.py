"""Our routes and replies against the specification's OpenAPI files."""
