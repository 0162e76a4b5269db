"""Whom a user wants to hear of, from memory while nothing has changed."""

from __future__ import annotations

from services.likings import Likings, read_likings
from services.sync.listener import Listener
from services.sync.look import Connection
from services.tenant import Tenant


async def likings_of(tenant: Tenant, listener: Listener, connection: Connection) -> Likings:
    """The likings of the listener's user."""
    if listener.likings is None:
        changed = listener.account_data
        likings = await read_likings(await connection.tx(), listener.user_id, tenant.settings.server_notices)
        if listener.account_data == changed:
            listener.likings = likings
        return likings
    return listener.likings
