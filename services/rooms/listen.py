"""Waiting for the next events of rooms, as clients did before /sync, and as those do who only look into a room."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from orjson import Fragment

from protocol.ids import RoomID
from services.requester import Requester
from services.rooms.reading import Reading, ignored_users, reading
from services.rooms.tail import TailEvent, stored_tail_event
from services.rooms.visibility import hidden_from
from services.sync.waiting import Departure
from services.tenant import Tenant
from storage import topics
from storage.database import Tx
from storage.feed import Subscriber
from storage.membership import memberships_of_user
from storage.timeline import ANY, NEWEST, newest_of_rooms

_MOST = 100  # events of a room


@dataclass(frozen=True, slots=True)
class Heard:
    """Events, and the positions that they are between."""

    start: int
    end: int
    chunk: list[Fragment]


async def next_events(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID | None,
    start: int | None,
    timeout: int,
    gone: Departure,
) -> Heard:
    """The events after a position (None: now), in a room that the user may read or (None) in all that the user is in, as soon
    as there are any, at the latest after `timeout` milliseconds. Raises Forbidden.
    """
    position = tenant.feed.position if start is None else start
    deadline = asyncio.get_running_loop().time() + timeout / 1000
    news = _News()
    gone.add_callback(news.wake)
    tenant.feed.subscribe(news.subscriber)
    try:
        while True:
            news.begin()  # before the reading: what is told meanwhile is not missed
            upto = tenant.feed.position
            async with tenant.database.snapshot() as tx:
                views = await _views(tx, requester, room_id)
                found = await _between(tenant, tx, requester, views, position, upto)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0 or gone.is_set():
                return Heard(position, max(position, upto), found)
            await news.of({*map(topics.room, views), topics.user(requester.user_id)}, left)
    finally:
        tenant.feed.unsubscribe(news.subscriber)
        gone.remove_callback(news.wake)


async def _views(tx: Tx, requester: Requester, room_id: RoomID | None) -> Mapping[str, Reading]:
    if room_id is not None:
        return {room_id: await reading(tx, requester, room_id)}
    return {
        membership.room_id: Reading(requester, membership.room_id, membership, NEWEST, NEWEST, is_over=False)
        for membership in await memberships_of_user(tx, requester.user_id, ("join",))
    }


async def _between(
    tenant: Tenant, tx: Tx, requester: Requester, views: Mapping[str, Reading], after: int, upto: int
) -> list[Fragment]:
    ranges = [
        (room_id, after, min(upto, view.joined_until) if view.is_over else upto, False)
        for room_id, view in views.items()
    ]
    rows = await newest_of_rooms(tx, ranges, ANY, _MOST)
    # History that was fetched meanwhile is no news.
    read = {
        room_id: [event for row in found if (event := stored_tail_event(row)).live]
        for room_id, found in rows.items()
    }
    if not read:
        return []
    questions = [views[room_id].asked(events) for room_id, events in read.items()]
    hidden = await hidden_from(tx, requester.user_id, questions)
    ignored = await ignored_users(tx, requester.user_id)
    shown: list[tuple[TailEvent, Reading]] = [
        (event, views[room_id])
        for room_id, events in read.items()
        for event in events
        if event.event_id not in hidden and (event.sender not in ignored or event.state_key is not None)
    ]
    shown.sort(key=lambda one: one[0].position)
    now = tenant.clock.now()
    return [view.shown(event, now) for event, view in shown]


class _News:
    """Notes which topics were told of since `begin`, and ends the waiting for any of them."""

    def __init__(self) -> None:
        self.subscriber = Subscriber(self._told, lambda _: self.wake())
        self._topics: set[str] = set()
        self._wanted: set[str] = set()
        self._woken = asyncio.Event()

    def begin(self) -> None:
        """What is told from now on counts."""
        self._topics.clear()
        self._wanted.clear()
        self._woken.clear()

    def wake(self) -> None:
        """Ends the waiting, whatever happened."""
        self._woken.set()

    async def of(self, wanted: set[str], seconds: float) -> None:
        """Returns once one of the topics has been told of, or after so long."""
        self._wanted = wanted
        if not wanted.isdisjoint(self._topics):
            return
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _told(self, _: int, woken: tuple[str, ...]) -> None:
        self._topics.update(woken)
        if not self._wanted.isdisjoint(woken):
            self._woken.set()
