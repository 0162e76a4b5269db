"""Sliding sync (MSC4186): looks for what its request's rooms have to tell, and waits where that is nothing.

The listener of /sync says what has changed since the connection's last look; where it says that nothing has that could
concern the request, no statement is run. Rooms are told from one snapshot of the database, however each of them got into
the window; what is not of rooms is told up to the position that this process has been told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from protocol.filters import NO_FILTER
from services.presence import seen
from services.requester import Requester
from services.sync.device_memory import DeviceMemory
from services.sync.likings import likings_of
from services.sync.listener import Noted
from services.sync.look import Connection as Lazily
from services.sync.look import Look, connection
from services.sync.sliding.connections import Connection, Key, Sent, State
from services.sync.sliding.due import due
from services.sync.sliding.extensions import Around, Extended, extended
from services.sync.sliding.matching import Matched, matched
from services.sync.sliding.request import SlidingRequest
from services.sync.sliding.room_list import RoomList
from services.sync.sliding.rooms import Telling, Told, tell
from services.sync.streams import receipts, unread
from services.sync.token import Token
from services.sync.waiting import Departure, news
from services.tenant import Tenant
from storage.database import Tx
from storage.rooms_of import joined_rooms_now

Json = dict[str, Any]
_REREADS = 3
_SERIAL = 10**18  # as many as a token's number has room for


async def sliding_sync(
    tenant: Tenant, requester: Requester, request: SlidingRequest, gone: Departure
) -> Json:
    """What is new on the connection, as soon as there is something; raises UnknownPos."""
    await seen(tenant, requester.user_id, request.presence, requester.device_id)
    return await _Poll(tenant, requester, request, gone).answer()


@dataclass(frozen=True, slots=True)
class _Found:
    """One look's answer: the body but for `pos`, how the connection is after it, and whether it is news."""

    body: Json
    state: State
    is_news: bool


@dataclass(frozen=True, slots=True)
class _RoomsTold:
    """What was found of rooms."""

    matched: Matched
    told: Mapping[str, Told]
    is_settled: bool


class _Poll:
    """One request, as long as it waits."""

    __slots__ = ("_deadline", "_gone", "_listener", "_request", "_requester", "_rooms", "_tenant")

    def __init__(
        self, tenant: Tenant, requester: Requester, request: SlidingRequest, gone: Departure
    ) -> None:
        self._tenant = tenant
        self._requester = requester
        self._request = request
        self._gone = gone
        self._deadline = asyncio.get_running_loop().time() + request.timeout / 1000
        self._rooms: RoomList = tenant.sliding.list_of(requester.user_id)

    async def answer(self) -> Json:
        """The reply's body."""
        key: Key = (self._requester.user_id, self._requester.device_id or "", self._request.conn_id)
        pos, now = self._request.pos, self._tenant.clock.now()
        if pos is None:
            known, state = Connection(now), State()
        else:
            known = self._tenant.sliding.find(key, now)
            state = known.at(pos)
        tries = 0
        while True:
            self._listener = await self._tenant.listeners.of(self._requester.user_id)
            found = await self._look(state)
            tries += 1
            if tries <= _REREADS and not found.state.settled and (pos is None or not found.is_news):
                continue  # another request has read the list from a later snapshot than this look's
            if found.is_news or pos is None:
                break
            state = found.state
            assert state.token is not None  # a look has been
            if not await news(self._listener, state.token, self._deadline, self._gone):
                break
        if pos is None:
            known = self._tenant.sliding.begin(key, now)
        new_pos = self._pos(found.state)
        known.answered(new_pos, found.state)
        self._tenant.sliding.keep(key, known)
        self._tenant.sliding.keep_list(self._rooms)
        return {"pos": new_pos} | found.body

    def _pos(self, state: State) -> str:
        """«A `pos` token can be used in /messages and /relations»: it is one of theirs; they ignore the second number."""
        assert state.token is not None
        serial = int.from_bytes(self._tenant.random.bytes(8)) % _SERIAL
        return str(replace(state.token, ephemeral=serial))

    async def _look(self, state: State) -> _Found:
        listener, since, told = self._listener, state.token, self._tenant.feed.position
        generation, joined = listener.generation, listener.rooms
        noted = None
        if since is not None and joined is not None and listener.began <= since.position <= told:
            noted = listener.noted_since(since.position)
        ephemeral = self._tenant.ephemeral.position
        async with AsyncExitStack() as stack:
            if noted is not None and joined is not None and await self._is_quiet(state):
                lazily = await stack.enter_async_context(connection(self._tenant.database))
                look = await self._new_look(state, lazily, generation, Token(told, ephemeral), joined, noted)
                return await self._found(look, look, state, None)
            tx = await stack.enter_async_context(self._tenant.database.snapshot())
            now = await joined_rooms_now(tx, self._requester.user_id)
            joined_now, at = now.rooms, now.position
            lazily = await stack.enter_async_context(connection(self._tenant.database, tx))
            upto = Token(at if noted is None else told, ephemeral)
            look = await self._new_look(state, lazily, generation, upto, frozenset(joined_now), noted)
            await self._rooms.refresh(tx, listener, generation, told, at, look.likings)
            of_rooms = replace(look, upto=Token(at, ephemeral), noted=None)
            return await self._found(look, of_rooms, state, tx)

    async def _new_look(
        self,
        state: State,
        lazily: Lazily,
        generation: int,
        upto: Token,
        joined: Collection[str],
        noted: Noted | None,
    ) -> Look:
        return Look(
            tenant=self._tenant,
            user_id=self._requester.user_id,
            device_id=self._requester.device_id,
            filter=NO_FILTER,
            since=state.token,
            upto=upto,
            joined=joined,
            now=self._tenant.clock.now(),
            listener=self._listener,
            generation=generation,
            memory=DeviceMemory(),
            likings=await likings_of(self._tenant, self._listener, generation, lazily, upto.position),
            noted=noted,
            full_state=False,
            state_after=False,
            connection=lazily,
        )

    async def _is_quiet(self, state: State) -> bool:
        """Is there no room to be told of, as far as is known without asking?"""
        rooms = self._rooms
        if rooms.may_differ(self._listener):
            return False
        if not self._knows_children():
            return False
        return not due(state, await self._matched(None, state, rooms.known), rooms)

    def _knows_children(self) -> bool:
        return self._rooms.knows_children(asked.filter for asked in self._request.lists.values())

    async def _matched(self, tx: Tx | None, state: State, at: int) -> Matched:
        known = state.matched
        if known is not None and known.is_of(self._rooms, self._request) and self._knows_children():
            return known
        return await matched(tx, self._rooms, self._request, at)

    async def _found(self, look: Look, of_rooms: Look, state: State, tx: Tx | None) -> _Found:
        rooms = await self._told(of_rooms, look, state, tx)
        known, away = _known_after(state, rooms, look)
        returning = {
            room_id: at
            for room_id, at in state.away.items()
            if room_id in rooms.matched.configs and room_id in known and room_id not in rooms.told
        }
        returning |= {
            room_id: state.away[room_id]
            for room_id, told in rooms.told.items()
            if room_id in state.away and not told.is_initial
        }
        moved = receipts.Receipts()
        if look.since is not None and (look.noted is None or look.noted.receipts or look.noted.own_reading):
            moved = await receipts.changes(look, ())
        initial = {room_id: told.events for room_id, told in rooms.told.items() if told.is_initial}
        expanded = {room_id: told.events for room_id, told in rooms.told.items() if told.is_expanded}
        around = Around(state, self._request, rooms.matched, initial, expanded, returning, known, moved)
        more = await extended(look, around)
        counted = await self._counted(of_rooms, rooms, around)
        return self._answer(state, look, rooms, known, away, more, counted)

    async def _counted(self, look: Look, rooms: _RoomsTold, around: Around) -> dict[str, Json]:
        """The unread counts of rooms of which something is told, which the user has read, or hears otherwise, where they have
        changed."""
        if self._request.accepted:
            return {}
        wanted = {*rooms.told, *around.returning} | {
            room_id
            for room_id in around.moved.own
            if room_id in rooms.matched.configs and room_id in around.known
        }
        wanted |= rooms.matched.configs.keys() & await unread.recounted(look)
        wanted = {room_id for room_id in wanted if room_id in look.joined and room_id in around.known}
        found = await unread.changes(look, sorted(wanted))
        counted = {room_id: counts["unread_notifications"] for room_id, counts in found.items()}
        return {r: counts for r, counts in counted.items() if around.known[r].counts != counts}

    async def _told(self, look: Look, outer: Look, state: State, tx: Tx | None) -> _RoomsTold:
        """What is told of rooms; without `tx` nothing, since there is nothing to be told."""
        at, rooms = look.upto.position, self._rooms
        found = await self._matched(tx, state, at)
        tellings = due(state, found, rooms)
        if tx is None or not tellings:
            return _RoomsTold(found, {}, not tellings)
        for _ in range(_REREADS):
            old = [room_id for room_id, telling in tellings.items() if telling.entry.read_at < at]
            if not old:
                break
            await rooms.reread(tx, old, at, look.likings)
            found = await self._matched(tx, state, at)
            tellings = due(state, found, rooms)
        # An entry that another request has read from a later snapshot is told of by the next look.
        now: list[Telling] = [telling for telling in tellings.values() if telling.entry.read_at == at]
        is_complete = outer.noted is not None and at == outer.upto.position
        told = await tell(look, now, outer.noted if is_complete else None, self._request.accepted)
        return _RoomsTold(found, told, len(now) == len(tellings))

    def _answer(
        self,
        state: State,
        look: Look,
        rooms: _RoomsTold,
        known: Mapping[str, Sent],
        away: Mapping[str, int],
        more: Extended,
        counted: Mapping[str, Json],
    ) -> _Found:
        told = {room_id: dict(one.json) for room_id, one in rooms.told.items()}
        for room_id, unread_there in counted.items():
            told.setdefault(room_id, {}).update(unread_there)
        if counted:
            known = dict(known) | {r: replace(known[r], counts=there) for r, there in counted.items()}
        if self._request.accepted:
            for room_id, news in told.items():
                news["lists"] = sorted(
                    name for name, window in rooms.matched.windows.items() if room_id in window
                )
        counts = rooms.matched.counts
        body: Json = {
            "lists": {name: {"count": count} for name, count in counts.items()},
            "rooms": told,
            "extensions": more.json,
        }
        is_news = bool(told) or more.is_news or counts != state.counts
        after = State(
            token=look.upto,
            rooms=known,
            away=away,
            matched=rooms.matched,
            settled=rooms.is_settled,
            counts=counts,
            extensions=self._request.extensions.enabled,
            key_counts=more.key_counts,
            mail=more.mail,
        )
        return _Found(body, after, is_news)


def _known_after(state: State, rooms: _RoomsTold, look: Look) -> tuple[Mapping[str, Sent], Mapping[str, int]]:
    """What the client knows of rooms after the answer, and which of them have no window any more."""
    known = state.rooms
    if rooms.told:
        known = dict(known)
        for room_id, told in rooms.told.items():
            if told.sent is None:
                known.pop(room_id, None)
            else:
                known[room_id] = told.sent
    if rooms.matched is state.matched and not rooms.told:
        return known, state.away
    configs = rooms.matched.configs
    away = {room_id: at for room_id, at in state.away.items() if room_id in known and room_id not in configs}
    for room_id in known:
        if room_id not in configs and room_id not in away:
            away[room_id] = look.after
    return known, away
