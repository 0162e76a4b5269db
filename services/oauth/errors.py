"""Refusals of the OAuth 2.0 endpoints (RFC 6749 §5.2), which are told in another form than those of Matrix."""

from __future__ import annotations


class OAuthError(Exception):
    """A refusal: `error` is one of the codes of the RFCs, `description` is for the developers of clients."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status

    def body(self) -> dict[str, str]:
        """The error's JSON object."""
        return {"error": self.error, "error_description": self.description}


class NotToBeRedirected(Exception):
    """A request whose client or redirect URI is not known: the user is told, and the browser stays here."""
