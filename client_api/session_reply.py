"""What a client is told when a session begins: after login, registration and refresh."""

from __future__ import annotations

from typing import Any

from services.accounts.begin import Session, Wish
from web.call import Call


def wish_of(call: Call[Any, Any]) -> Wish:
    """The device and tokens that the request asks for."""
    return Wish(
        device_id=call.text("device_id", None),
        display_name=call.text("initial_device_display_name", None),
        refreshable=call.flag("refresh_token", False),
        address=call.remote,
        user_agent=call.headers.get("User-Agent", ""),
    )


def session_json(session: Session) -> dict[str, Any]:
    """Who has logged in, and with what."""
    return {"user_id": session.user_id, "device_id": session.device_id, **tokens_json(session)}


def tokens_json(session: Session) -> dict[str, Any]:
    """The tokens, and when the access token expires."""
    said: dict[str, Any] = {"access_token": session.access_token}
    if session.refresh_token is not None:
        said["refresh_token"] = session.refresh_token
    if session.expires_in is not None:
        said["expires_in_ms"] = session.expires_in
    return said
