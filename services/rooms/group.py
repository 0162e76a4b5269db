"""Several events that enter a room, or several rooms, together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from protocol.build import EventDraft
from protocol.events import Event
from protocol.ids import UserID
from services.rooms.append import append, commit
from services.rooms.compose import compose
from services.rooms.event_rows import NOWHERE, Origin
from services.rooms.head import Head
from services.tenant import Tenant
from storage.journal import Change, Row


class Group:
    """Events on one head, each built on those before it; to be used under the room's lock."""

    def __init__(self, tenant: Tenant, head: Head) -> None:
        self._tenant = tenant
        self.head = head
        self.events: list[Event] = []
        self.changes: list[Change] = []

    async def add(
        self, sender: UserID, draft: EventDraft, at: int | None = None, origin: Origin = NOWHERE
    ) -> Event:
        """The draft as the next event. Raises Forbidden, TooLarge or InvalidEvent; then there is nothing added."""
        event = await compose(self._tenant, self.head, sender, draft, at)
        if not self.head.room_id:  # a create event makes the ID of its room
            self.head.room_id = event.room_id
        await self.put(event, origin)
        return event

    async def put(self, event: Event, origin: Origin = NOWHERE) -> None:
        """An event that was composed on this head as it is now."""
        self.changes.append(await append(self._tenant, self.head, event, origin))
        self.events.append(event)


def commit_groups(
    tenant: Tenant, groups: Sequence[Group], more: Sequence[Row] = ()
) -> asyncio.Future[list[int]]:
    """Puts all of them into the journal as one, with further rows of the caller's; awaited without the rooms' locks."""
    changes = [change for group in groups for change in group.changes]
    if more:
        changes[-1] = replace(changes[-1], rows=(*changes[-1].rows, *more))
    return commit(tenant, changes, *(group.head for group in groups))
