"""Whom a user ignores (§Ignoring Users)."""

from __future__ import annotations

from services.rooms.reading import ignored_users
from services.sync.listener import Listener
from services.sync.look import Connection


async def ignored_by(listener: Listener, connection: Connection) -> frozenset[str]:
    """Whom the listener's user ignores, from memory where nothing has changed."""
    if listener.ignored is None:
        changed = listener.account_data
        ignored = await ignored_users(await connection.tx(), listener.user_id)
        if listener.account_data == changed:
            listener.ignored = ignored
        return ignored
    return listener.ignored
