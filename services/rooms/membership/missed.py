"""What has come into a room between the template of a join (make_join) and the join itself (send_join).

The server that joins is shown the room as it was before the join, and is told what comes after it. Of what came beside it, it
would only know by the next event that follows on both.
"""

from __future__ import annotations

from protocol.events import Event
from protocol.ids import EventID, ServerName
from protocol.json import canonical_lenient
from services.tenant import Tenant
from storage import topics
from storage.events import Standing, events_by_id
from storage.journal import Change, Row
from storage.servers.outbox import APPEND_EVENT_TO_OUTBOX, as_mail
from storage.servers.serving import forward_extremities

MOST = 10
"""Events; what they follow on the server can ask for."""


async def tell_what_was_missed(tenant: Tenant, join: Event, server: ServerName) -> None:
    """The ends of the room beside the join are sent to the server, whoever's they are."""
    async with tenant.database.read() as tx:
        ends: list[EventID] = [EventID(one) for one in await forward_extremities(tx, join.room_id)]
        found = await events_by_id(tx, [one for one in ends if one != join.event_id][:MOST])
    missed = [stored for stored in found.values() if stored.standing is Standing.TIMELINE]
    if not missed or join.event_id not in ends:
        return
    missed.sort(key=lambda stored: stored.position)
    rows = [
        Row(APPEND_EVENT_TO_OUTBOX, (server, part, as_mail(canonical_lenient(stored.event.json))))
        for part, stored in enumerate(missed)
    ]
    await tenant.journal.append(Change(tuple(rows), (topics.destination(server),)))
