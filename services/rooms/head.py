"""Heads: what the next event of a room builds on, kept in memory while the room is warm.

A head is a guess. It is advanced as soon as an event has been built on it, before the commit, so that the commits of
one room share batches. When a commit fails, or when another process turns out to have written, the head is dropped
and loaded again; whatever was built on it is refused by the journal (`Stale`) and built anew. A wrong guess costs a
retry and never makes a wrong event.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import orjson

from protocol.events import CREATE, HISTORY_VISIBILITY, JOIN_RULES, POWER_LEVELS, Event, StateKey
from protocol.ids import EventID, RoomID
from protocol.matrix_error import NotFound
from protocol.room_versions import EventFormat, RoomVersion
from storage import topics
from storage.database import Database
from storage.events import events_by_id
from storage.journal import HeadMove
from storage.rooms import StoredHead, current_state_events, head_of
from storage.state import EMPTY, Snapshot

MAX_HEADS = 2000
MAX_STATE_EVENTS = 2000  # a room
MAX_STATE_EVENTS_IN_ALL = 50_000
MAX_TRANSACTIONS = 20_000

# What is looked at for almost every event, and so is loaded with the head.
FIXED_KEYS: tuple[StateKey, ...] = tuple(
    (event_type, "")
    for event_type in (
        CREATE,
        POWER_LEVELS,
        JOIN_RULES,
        HISTORY_VISIBILITY,
        "m.room.encryption",
        "m.room.guest_access",
        "m.room.policy",
    )
)


class UnknownRoom(NotFound):
    """We do not have this room."""

    usual_message = "There is no such room here"


class Head:
    """A room's head, and the state events that were asked for lately. Changed only by services/rooms/append.py."""

    __slots__ = (
        "_moved_to",
        "_state",
        "_unsettled",
        "counted",
        "depth",
        "extremities",
        "invited",
        "joined",
        "pending",
        "position",
        "prev_events",
        "room_id",
        "room_version",
        "settled",
        "snapshot",
        "tally",
        "version",
        "written",
    )

    def __init__(self, room_id: RoomID, room_version: RoomVersion) -> None:
        """The head of a room that does not exist yet."""
        self.room_id = room_id
        self.room_version = room_version
        self.version = self.written = self.settled = 0  # as built; as put into the journal; as committed
        self.depth = self.tally = self.joined = self.invited = self.position = 0
        self.extremities: tuple[EventID, ...] = ()
        self.prev_events: tuple[Event, ...] = ()  # only in versions that name the hashes of prev_events
        self.snapshot: Snapshot = EMPTY
        self.pending: asyncio.Future[Any] | None = None
        self.counted = 0  # how many keys of the state Heads has counted
        self._state: OrderedDict[StateKey, Event | None] = OrderedDict()
        self._unsettled: dict[StateKey, int] = {}
        self._moved_to: str | None = None  # the extremities of the last move, or as they were loaded

    @classmethod
    def stored(cls, stored: StoredHead, keys: Collection[StateKey]) -> Head:
        """The head as it is in the database; `keys` are those that it was asked for."""
        head = cls(stored.room_id, stored.room_version)
        head.version = head.written = head.settled = stored.version
        head.depth, head.tally, head.position = stored.depth, stored.tally, stored.position
        head.joined, head.invited = stored.joined, stored.invited
        head.extremities = stored.forward_extremities
        head._moved_to = orjson.dumps(head.extremities).decode()
        head.snapshot = Snapshot(stored.snapshot, stored.layers, stored.sizes)
        for key in keys:
            head._state[key] = stored.state.get(key)
        return head

    def known(self, key: StateKey) -> Event | None:
        """The state event under this key, which must have been asked for (`state_events`) under the same lock."""
        return self._state[key]

    @property
    def size(self) -> int:
        """How many keys of the state are in memory."""
        return len(self._state)

    async def state_events(self, database: Database, keys: Collection[StateKey]) -> dict[StateKey, Event]:
        """The state under these keys; asks the database for what is not in memory, and remembers what is not there."""
        missing = [key for key in keys if key not in self._state]
        if missing:
            found: dict[StateKey, Event] = {}
            if self.settled:
                async with database.read() as tx:
                    found = await current_state_events(tx, self.room_id, self.room_version, missing)
            self._evict(len(missing), keep=keys)
            for key in missing:
                self._state[key] = found.get(key)
        state = {}
        for key in keys:
            self._state.move_to_end(key)
            event = self._state[key]
            if event is not None:
                state[key] = event
        return state

    def put_state(self, key: StateKey, event: Event | None) -> None:
        """The state has changed by an event that is on its way: not to be forgotten before it is committed."""
        self._state[key] = event
        self._unsettled[key] = self.version

    def replace_redacted(self, event: Event) -> None:
        """The event has been redacted: where it is in the state in memory, its redacted form takes its place."""
        if event.is_state:
            current = self._state.get(event.key)
            if current is not None and current.event_id == event.event_id:
                self.put_state(event.key, event)

    def committed(self, version: int, position: int) -> None:
        """The head is in the database up to this version."""
        self.settled, self.position = version, position
        if self._unsettled:
            self._unsettled = {key: at for key, at in self._unsettled.items() if at > version}

    def _evict(self, room_for: int, keep: Collection[StateKey]) -> None:
        spare = len(self._state) + room_for - MAX_STATE_EVENTS
        for key in list(self._state) if spare > 0 else ():
            if spare <= 0:
                return
            if key not in self._unsettled and key not in keep and key not in FIXED_KEYS:
                del self._state[key]
                spare -= 1

    def move(self, expected: int) -> HeadMove:
        """This head as the journal writes it, in the place of version `expected`; once a version."""
        based_on, self._moved_to = self._moved_to, orjson.dumps(self.extremities).decode()
        return HeadMove(
            self.room_id,
            expected,
            self.room_version.id,
            self.depth,
            self._moved_to,
            self.snapshot.snapshot,
            self.tally,
            self.joined,
            self.invited,
            based_on,
        )


class Heads:
    """The heads of one tenant's warm rooms in this process. Also a subscriber of the feed (`told`, `reset`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heads: OrderedDict[RoomID, Head] = OrderedDict()
        self._locks: WeakValueDictionary[RoomID, asyncio.Lock] = WeakValueDictionary()
        self._draining: dict[RoomID, asyncio.Future[Any]] = {}
        self._transactions: OrderedDict[bytes, EventID] = OrderedDict()
        self._size = 0  # keys of the state, in all heads
        self._told = 0

    @asynccontextmanager
    async def locked(self, room_id: RoomID) -> AsyncIterator[Head]:
        """The room's head, for one who builds on it: one at a time. Raises UnknownRoom.

        What was built and not put into the journal by the end is as if it had never been.
        """
        lock = self._locks.get(room_id)
        if lock is None:
            lock = self._locks[room_id] = asyncio.Lock()
        async with lock:
            head = self._heads.get(room_id) or await self._load(room_id)
            self._heads.move_to_end(room_id)
            try:
                yield head
            finally:
                if head.version != head.written:
                    self.drop(head)
                elif head.size != head.counted and self._heads.get(room_id) is head:
                    self._count(head)

    def adopt(self, head: Head) -> None:
        """Keeps the head of a room that was just made, unless somebody has loaded it already."""
        if head.room_id not in self._heads:
            self._keep(head)

    def drop(self, head: Head) -> None:
        """Forgets the head, if it is still this one that is kept: a later one is not harmed."""
        if self._heads.get(head.room_id) is head:
            del self._heads[head.room_id]
            self._size -= head.counted
            self._drain(head)

    def forget(self, room_id: RoomID) -> None:
        """Forgets the room's head: somebody else has moved it."""
        head = self._heads.get(room_id)
        if head is not None:
            self.drop(head)

    def told(self, position: int, woken: tuple[str, ...]) -> None:
        """A commit, ours or another's, up to this position: what others moved is forgotten."""
        for topic in woken:
            if topic[0] == topics.ROOM:
                head = self._heads.get(RoomID(topic[1:]))
                # A head that was loaded or committed later than the last note has all that this note tells.
                if head is not None and head.position <= self._told:
                    self.drop(head)
        self._told = position

    def reset(self, position: int) -> None:
        """Notes were missed: whatever is not our own newest news may be old."""
        for head in [head for head in self._heads.values() if head.position <= self._told]:
            self.drop(head)
        self._told = position

    def sent(self, digest: bytes) -> EventID | None:
        """What came of a transaction that went through this process lately."""
        return self._transactions.get(digest)

    def remember_sent(self, digest: bytes, event_id: EventID) -> None:
        """The transaction is committed."""
        self._transactions[digest] = event_id
        if len(self._transactions) > MAX_TRANSACTIONS:
            self._transactions.popitem(last=False)

    async def _load(self, room_id: RoomID) -> Head:
        # What was built on a head that is no more must be settled first, or it and we would refuse each other.
        while (draining := self._draining.get(room_id)) is not None:
            await asyncio.wait([draining])
        async with self._database.read() as tx:
            stored = await head_of(tx, room_id, FIXED_KEYS)
            if stored is None:
                raise UnknownRoom
            head = Head.stored(stored, FIXED_KEYS)
            if head.room_version.event_format is EventFormat.PAIRS:
                found = await events_by_id(tx, head.extremities)
                head.prev_events = tuple(found[event_id].event for event_id in head.extremities)
        self._keep(head)
        return head

    def _keep(self, head: Head) -> None:
        self._heads[head.room_id] = head
        self._count(head)

    def _count(self, head: Head) -> None:
        """Keeps the memory within its bounds, at the cost of the heads that were used longest ago."""
        self._size += head.size - head.counted
        head.counted = head.size
        while len(self._heads) > MAX_HEADS or (self._size > MAX_STATE_EVENTS_IN_ALL and len(self._heads) > 1):
            self.drop(next(iter(self._heads.values())))

    def _drain(self, head: Head) -> None:
        pending = head.pending
        if pending is None or pending.done():
            return
        self._draining[head.room_id] = pending

        def drained(done: asyncio.Future[Any]) -> None:
            if self._draining.get(head.room_id) is done:
                del self._draining[head.room_id]

        pending.add_done_callback(drained)
