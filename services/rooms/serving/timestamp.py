"""Events of a room by the time that they claim."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.settings import DAY, HOUR
from storage.database import Tx
from storage.events import StoredEvent
from storage.servers.serving import first_between, last_between

MAX_TIME = 2**53 - 1
CANDIDATES = 50
_STRETCHES = (HOUR, DAY, 30 * DAY, MAX_TIME)


async def nearest(
    tx: Tx, room_id: str, at: int, now: int, *, forwards: bool
) -> AsyncIterator[list[StoredEvent]]:
    """The events next to a time, in batches, the nearest first, looked for in stretches that become longer."""
    # Times long before the first event, or in the future, have only empty stretches next to them.
    near = at if forwards else min(at, now + HOUR)
    for stretch in _STRETCHES:
        if forwards:
            found = await first_between(tx, room_id, at, min(near + stretch, MAX_TIME), CANDIDATES)
        else:
            found = await last_between(tx, room_id, max(near - stretch, -MAX_TIME), at, CANDIDATES)
        if found:
            yield found
        if len(found) == CANDIDATES:
            return
