"""The events that relate to an event, page by page (§Aggregations, «Relationships API»)."""

from __future__ import annotations

from dataclasses import dataclass

from orjson import Fragment

from protocol.ids import EventID, RoomID
from services.requester import Requester
from services.rooms.read import view_of, visible_event
from services.rooms.reading import ignored_users
from services.rooms.tail import TailEvent, stored_tail_event
from services.tenant import Tenant
from storage.relations import Related, children_of
from storage.timeline import NEWEST, OLDEST, shown_events

DEPTH = 3
"""How far `recurse` goes: «Homeservers SHOULD traverse at least 3 levels of relationships»."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which children: of a relation and a type (None: any), where `recurse` also theirs; from behind position `start` (None:
    the end that the direction begins at) to `stop`.
    """

    rel_type: str | None
    type: str | None
    recurse: bool
    is_backwards: bool
    start: int | None
    stop: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Children:
    """A page of them, and the position to go on from; None at the end."""

    chunk: list[Fragment]
    following: int | None


async def children(
    tenant: Tenant, requester: Requester, room_id: RoomID, event_id: EventID, page: Page
) -> Children:
    """What relates to the event, as far as the user may see it; raises NotFound for an event that the user may not see."""
    async with tenant.database.snapshot() as tx:
        view = await view_of(tx, requester, room_id)
        await visible_event(tx, view, event_id)
        after, upto = _range(page)
        related = Related(room_id, event_id, DEPTH if page.recurse else 1, page.rel_type, page.type)
        found = await children_of(tx, related, after, upto, page.limit + 1, is_backwards=page.is_backwards)
        rows = await shown_events(tx, found[: page.limit])
        read = sorted(
            (stored_tail_event(row) for row in rows),
            key=lambda event: event.position,
            reverse=page.is_backwards,
        )
        ignored = await ignored_users(tx, requester.user_id)
        shown = [
            event
            for event in await view.visible(tx, read)
            if event.sender not in ignored or event.state_key is not None
        ]
        now = tenant.clock.now()
        bundled = await view.bundled(tx, shown, now)
    following = _behind(read[-1], page) if len(found) > page.limit and read else None
    return Children([view.shown(event, now, bundled) for event in shown], following)


def _range(page: Page) -> tuple[int, int]:
    """The positions in (after, upto]."""
    if page.is_backwards:
        after = OLDEST if page.stop is None else page.stop
        return after, NEWEST if page.start is None else page.start
    return OLDEST if page.start is None else page.start, NEWEST if page.stop is None else page.stop


def _behind(event: TailEvent, page: Page) -> int:
    return event.position - 1 if page.is_backwards else event.position
