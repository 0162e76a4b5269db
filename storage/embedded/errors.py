"""The one error of the embedded PostgreSQL: its text is for the person who starts the server."""


class EmbeddedPostgresError(Exception):
    """PostgreSQL cannot be started here; the text says why and what to do."""
