"""Whom a user wants to hear of, from memory while nothing has changed."""

from __future__ import annotations

from services.likings import Likings, read_likings
from services.sync.listener import Listener
from services.sync.look import Connection
from services.tenant import Tenant


async def likings_of(
    tenant: Tenant, listener: Listener, generation: int, connection: Connection, upto: int
) -> Likings:
    """The likings of the listener's user at `upto` or later; `generation` is the listener's from before the connection was
    taken, which may see the database as it was at `upto`.
    """
    if listener.likings is not None and tenant.feed.position >= upto:
        return listener.likings
    likings = await read_likings(await connection.tx(), listener.user_id, tenant.settings.server_notices)
    # What was noted behind `upto` may be missing in what was read; then it is good for this look only.
    if listener.generation == generation and listener.account_data <= upto <= tenant.feed.position:
        listener.likings = likings
    return likings
