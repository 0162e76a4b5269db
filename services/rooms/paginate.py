"""Walking through a room's events: pages of /messages, and what stands around an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from orjson import Fragment

from protocol.events import MEMBER, StateKey
from protocol.filters import EventFilter
from protocol.ids import EventID, RoomID
from services.requester import Requester
from services.rooms.backfill import backfill
from services.rooms.client_event import state_json
from services.rooms.read import view_of, visible_event
from services.rooms.reading import Reading, ignored_users, member_keys, reading
from services.rooms.tail import TailEvent, stored_tail_event
from services.rooms.wanted import Seen, is_for_sql_alone, lets_through, wanted_by
from services.tenant import Tenant
from storage.database import Tx
from storage.gaps import OpenGap, open_gaps
from storage.state import state_ids_at, state_ids_of_keys
from storage.state_reading import state_events
from storage.timeline import NEWEST, OLDEST, backwards, forwards

SCANNED = 1000  # events that one request looks at, at most, to find those that are wanted
_BATCH = 100
_BACKFILLS = 3  # times that one request makes us ask other servers


@dataclass(frozen=True, slots=True)
class Range:
    """Which events are asked for: from behind position `start` (None: the end of the room that the direction begins at)
    to `stop`, at most `limit`.
    """

    is_backwards: bool
    start: int | None
    stop: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class _Walk:
    """Events in the direction of the walk, and the position to go on from, None at the end; `gap`: the end is that of what we
    have up to there, and more may be had."""

    events: list[TailEvent]
    following: int | None
    gap: OpenGap | None = None


@dataclass(frozen=True, slots=True)
class Messages:
    """A page: the positions of its ends (`end` None: there is nothing more), its events, and the state that goes with them.
    `gap` is what it ended at before it was full."""

    start: int
    end: int | None
    chunk: list[Fragment]
    state: list[Fragment]
    gap: OpenGap | None = None


async def messages(
    tenant: Tenant, requester: Requester, room_id: RoomID, asked: Range, wanted: EventFilter
) -> Messages:
    """A page of the room's events that the user may see and wants; where it comes upon a gap in what we have other servers are
    asked for what is missing. Raises Forbidden.
    """
    passed: int | None = None
    backfills = _BACKFILLS
    while True:
        page = await _page(tenant, requester, room_id, asked, wanted, passed)
        if page.gap is None:
            return page
        if backfills and await backfill(tenant, room_id, page.gap.floor):
            backfills -= 1
            continue
        backfills = 0
        end = min(page.gap.mouth, page.start) if asked.is_backwards else page.gap.floor
        if page.chunk or end != page.start:
            return replace(page, end=end)  # they may be able to tell us later
        if page.gap.floor == OLDEST:
            return page
        passed = page.gap.floor  # the reader is at the gap already, and must not be held up there


async def _page(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    asked: Range,
    wanted: EventFilter,
    passed: int | None,
) -> Messages:
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        start = asked.start
        if start is None:
            start = _newest(tenant, view) if asked.is_backwards else OLDEST
        walk = await _walk(tx, view, asked, start, wanted, passed)
        state: list[Fragment] = []
        if wanted.lazy_load_members and walk.events:
            state = await _members_at(tx, view, walk.events[0], walk.events, tenant.clock.now())
        now = tenant.clock.now()
        bundled = await view.bundled(tx, walk.events, now)
    return Messages(
        max(start, _FIRST),
        walk.following,
        [view.shown(event, now, bundled) for event in walk.events],
        state,
        walk.gap,
    )


_FIRST = -(10**18) + 1  # what a token can say


@dataclass(frozen=True, slots=True)
class Context:
    """What stands around an event; the positions are those to go on from."""

    start: int
    end: int
    event: Fragment
    before: list[Fragment]
    after: list[Fragment]
    state: list[Fragment]


async def context(
    tenant: Tenant, requester: Requester, room_id: RoomID, event_id: EventID, limit: int, wanted: EventFilter
) -> Context:
    """The event, those around it that the user may see and wants, and the state at the last; raises NotFound."""
    async with tenant.database.snapshot() as tx:
        view = await view_of(tx, requester, room_id)
        event = await visible_event(tx, view, event_id)
        earlier = Range(True, None, None, limit // 2)
        later = Range(False, None, None, limit - limit // 2)
        before = await _walk(tx, view, earlier, event.position - 1, wanted) if earlier.limit else _Walk([], 0)
        after = await _walk(tx, view, later, event.position, wanted) if later.limit else _Walk([], 0)
        last = after.events[-1] if after.events else event
        shown = [*before.events, event, *after.events]
        now = tenant.clock.now()
        state = await _state_at(tx, view, last, shown, wanted, now)
        bundled = await view.bundled(tx, shown, now)
    first = before.events[-1] if before.events else event
    return Context(
        first.position - 1,
        last.position,
        view.shown(event, now, bundled),
        [view.shown(one, now, bundled) for one in before.events],
        [view.shown(one, now, bundled) for one in after.events],
        state,
    )


def _newest(tenant: Tenant, view: Reading) -> int:
    return min(tenant.feed.position, view.joined_until) if view.is_over else tenant.feed.position


async def _walk(
    tx: Tx, view: Reading, asked: Range, start: int, wanted: EventFilter, passed: int | None = None
) -> _Walk:
    """As far as to the next gap; those up to the floor `passed` are of no matter any more."""
    if wanted.is_nothing or not wanted.allows_room(view.room_id):
        return _Walk([], None)
    asked, gap = await _up_to_gap(tx, view, asked, start, passed)
    ignored = await ignored_users(tx, view.requester.user_id)
    batch = asked.limit + 1 if is_for_sql_alone(wanted) else max(_BATCH, asked.limit + 1)
    events: list[TailEvent] = []
    position, scanned = start, 0
    while scanned < SCANNED:
        rows = await _next(tx, view, asked, position, wanted, batch)
        read = [stored_tail_event(row) for row in rows]
        for event in await view.visible(tx, read):
            if (event.sender not in ignored or event.state_key is not None) and lets_through(wanted, event):
                if len(events) == asked.limit:
                    return _Walk(events, _behind(events[-1], asked))
                events.append(event)
        if len(rows) < batch:
            return _Walk(events, None, gap)
        position = _behind(read[-1], asked)
        scanned += len(rows)
    return _Walk(events, position)


async def _up_to_gap(
    tx: Tx, view: Reading, asked: Range, start: int, passed: int | None
) -> tuple[Range, OpenGap | None]:
    """The part of the range before the first gap in it, and that gap."""
    stop, last = asked.stop, view.joined_until if view.is_over else NEWEST
    gaps = await open_gaps(tx, view.room_id)
    if asked.is_backwards:
        least, most = OLDEST if stop is None else stop, min(start, last)
        for gap in gaps:
            if least <= gap.floor < most and (passed is None or gap.floor < passed):
                return replace(asked, stop=gap.floor), gap
        return asked, None
    most = last if stop is None else min(stop, last)
    for gap in reversed(gaps):  # what is missing at the room's beginning is not before anything
        if gap.floor != OLDEST and start <= gap.floor < most and (passed is None or gap.floor > passed):
            return replace(asked, stop=gap.floor), gap
    return asked, None


def _behind(event: TailEvent, asked: Range) -> int:
    """The place behind the event in the direction of the walk."""
    return event.position - 1 if asked.is_backwards else event.position


async def _next(
    tx: Tx, view: Reading, asked: Range, position: int, wanted: EventFilter, limit: int
) -> list[Any]:
    last = view.joined_until if view.is_over else NEWEST
    if asked.is_backwards:
        after = OLDEST if asked.stop is None else asked.stop
        return await backwards(tx, view.room_id, after, min(position, last), limit, wanted_by(wanted))
    upto = last if asked.stop is None else min(asked.stop, last)
    return await forwards(tx, view.room_id, position, upto, limit, wanted_by(wanted))


async def _members_at(
    tx: Tx, view: Reading, at: TailEvent, events: Sequence[TailEvent], now: int
) -> list[Fragment]:
    """The member events, in the state after one event, of all who sent the events."""
    if at.snapshot is None:
        return []
    keys = member_keys({event.sender for event in events})
    state = (await state_ids_of_keys(tx, [at.snapshot], keys))[at.snapshot]
    return await _shown_state(tx, view, state.values(), now, lambda _: True)


async def _state_at(
    tx: Tx, view: Reading, at: TailEvent, events: Sequence[TailEvent], wanted: EventFilter, now: int
) -> list[Fragment]:
    if at.snapshot is None:
        return []
    senders = {event.sender for event in events}
    state: dict[StateKey, EventID] = await state_ids_at(tx, at.snapshot)
    chosen = [
        event_id
        for key, event_id in state.items()
        if key[0] != MEMBER or not wanted.lazy_load_members or key[1] in senders
    ]
    return await _shown_state(
        tx, view, chosen, now, lambda event: wanted.is_everything or wanted.matches(event)
    )


async def _shown_state(
    tx: Tx, view: Reading, event_ids: Iterable[str], now: int, wanted: Callable[[Seen], bool]
) -> list[Fragment]:
    rows = await state_events(tx, list(event_ids))
    chosen = [
        row for row in rows if wanted(Seen(row["type"], row["sender"], orjson.loads(row["json"])["content"]))
    ]
    return [Fragment(state_json(row, view.room_id, now)) for row in chosen]
