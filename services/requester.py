"""Who is asking: the account, device or bridge behind an access token, or another server behind its signature."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import DeviceID, ServerName, UserID


@dataclass(frozen=True, slots=True)
class Requester:
    """An authenticated caller of the client-server API."""

    user_id: UserID
    device_id: DeviceID | None = None
    token_id: bytes | None = None
    is_guest: bool = False
    is_admin: bool = False
    appservice: str | None = None
    is_suspended: bool = False
    through_oauth: bool = False
    """The token was got through the OAuth 2.0 API: interactive authentication is not for it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An authenticated caller of the server-server API."""

    server_name: ServerName
