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


@dataclass(frozen=True, slots=True)
class Peer:
    """An authenticated caller of the server-server API."""

    server_name: ServerName
