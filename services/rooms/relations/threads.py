"""The threads of a room, those with the newest events first (§Threading, «Querying threads in a room»)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import orjson
from orjson import Fragment

from protocol.ids import RoomID
from services.requester import Requester
from services.rooms.bundle import Bundles
from services.rooms.reading import Reading, ignored_users, reading
from services.rooms.tail import TailEvent, stored_tail_event
from services.tenant import Tenant
from storage.database import Tx
from storage.relations import threads_of
from storage.timeline import NEWEST, shown_events

_BATCHES = 10  # that one request looks at, at most, to find roots that the user may see


@dataclass(frozen=True, slots=True)
class Threads:
    """Roots, and the position to go on from; None at the end."""

    chunk: list[Fragment]
    following: int | None


async def threads(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    start: int | None,
    limit: int,
    *,
    participated: bool,
) -> Threads:
    """The roots of the threads (or those in which the user has `participated`) with their aggregations; raises Forbidden."""
    participant = requester.user_id if participated else None
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        ignored = await ignored_users(tx, requester.user_id)
        newest = view.joined_until if view.is_over else NEWEST
        position: int | None = newest if start is None else min(start, newest)
        now = tenant.clock.now()
        chunk: list[Fragment] = []
        for _ in range(_BATCHES):
            assert position is not None
            wanted = limit - len(chunk)
            found = await threads_of(tx, room_id, position, ignored, newest, participant, wanted)
            chunk += await _roots(tx, view, [root for root, _ in found], ignored, now)
            position = found[-1][1] - 1 if len(found) == wanted else None
            if position is None or len(chunk) == limit:
                break
    return Threads(chunk, position)


async def _roots(
    tx: Tx, view: Reading, roots: list[str], ignored: Collection[str], now: int
) -> list[Fragment]:
    read = {row["event_id"]: stored_tail_event(row) for row in await shown_events(tx, roots)}
    visible = await view.visible(tx, [read[root] for root in roots if root in read])
    bundled = await view.bundled(tx, visible, now)
    return [
        view.shown(_without_content(event) if event.sender in ignored else event, now, bundled)
        for event in visible
        if _has_thread(event, bundled)
    ]


def _has_thread(event: TailEvent, bundled: Bundles) -> bool:
    """Is there an event of the thread that the user may see? State events have no bundle, and may be roots all the same."""
    return event.state_key is not None or b'"m.thread":' in bundled.get(event.event_id, b"")


def _without_content(event: TailEvent) -> TailEvent:
    # «If the thread root event was sent by an ignored user, the event is returned redacted to the caller.»
    json = orjson.loads(event.json)
    return event if event.state_key is not None else replace(event, json=orjson.dumps(json | {"content": {}}))
