"""Listeners: one for each user who syncs through this process; they note what has changed, and wake who waits.

Theory of operation. A listener is registered under its user and the user's rooms BEFORE anybody looks for news, so it
cannot miss any. From position `began` on it has noted all that concerns its user: who asks for news since `began` or
later finds out without the database what to read, and mostly that there is nothing. It lives on for some minutes after
the last poll. Whatever makes it unsure (a reset of the feed, a change of the user's own memberships) makes it `blank`:
it is then registered anew, and what happened before is read from PostgreSQL.

A wake-up costs O(1) for each listener, and nothing for rooms in which nobody listens. There are thousands of idle
listeners, so they are small: the sets of rooms are kept once, in the index.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from protocol.ids import UserID
from services.likings import Likings
from services.sync.device_memory import DeviceMemory
from services.sync.shared import Shared
from storage import topics
from storage.database import Database
from storage.feed import Feed
from storage.rooms_of import joined_rooms_now, rooms_of_users

LIFETIME = 5 * 60 * 1000  # milliseconds after the last poll
PRESENCE_PATIENCE = 0.5  # seconds

EVENTS, RECEIPTS, ACCOUNT_DATA, TO_DEVICE, DEVICE_LISTS, OWN_READING = range(6)
_OF_ROOM = {topics.ROOM: EVENTS, topics.RECEIPTS: RECEIPTS, topics.DEVICE_LISTS: DEVICE_LISTS}
_OF_USER = {
    topics.ACCOUNT_DATA: ACCOUNT_DATA,
    topics.TO_DEVICE: TO_DEVICE,
    topics.DEVICE_LISTS: DEVICE_LISTS,
    topics.UNREAD: OWN_READING,
}


class Now(Protocol):
    """What time it is."""

    def now(self) -> int:
        """Milliseconds since 1970."""


class Counter(Protocol):
    """The ephemeral counter."""

    @property
    def position(self) -> int:
        """The number of the newest change."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What has changed for a user: the rooms with new events and with new receipts, and whether anything of the rest."""

    events: tuple[str, ...]
    receipts: tuple[str, ...]
    account_data: bool
    to_device: bool
    device_lists: bool
    own_reading: bool


class Listener:
    """What one user has not been told yet, as far as it happened after `began`."""

    __slots__ = (
        "_events",
        "_receipts",
        "_waiting",
        "account_data",
        "began",
        "device_lists",
        "devices",
        "ephemeral",
        "generation",
        "key_counts",
        "last",
        "likings",
        "own_reading",
        "partial",
        "polled",
        "rooms",
        "to_device",
        "user_id",
    )

    def __init__(self, user_id: UserID) -> None:
        self.user_id = user_id
        self.rooms: tuple[str, ...] | None = None
        """The rooms that it is registered for; None when it is blank."""
        self.partial: frozenset[str] = frozenset()
        """Those among them whose members are still to come; when they have come it is made blank."""
        self.generation = 0
        """Counts what made it blank."""
        self.began = self.last = self.polled = 0
        self.account_data = self.to_device = self.device_lists = self.own_reading = self.ephemeral = 0
        self.likings: Likings | None = None
        """Whom the user wants to hear of; None when that must be looked up."""
        self.devices: dict[str, DeviceMemory] | None = None
        self.key_counts: dict[str, tuple[bytes, bytes]] | None = None
        """What each device has in keys, as members of the answer's JSON."""
        self._events: OrderedDict[str, int] | None = None
        self._receipts: OrderedDict[str, int] | None = None
        self._waiting: list[asyncio.Future[bool]] | None = None

    def note(self, kind: int, room_id: str, position: int) -> None:
        """Something of this kind has changed; wakes who waits."""
        self.last = position
        if kind == EVENTS:
            self._events = _noted(self._events, room_id, position)
        elif kind == RECEIPTS:
            self._receipts = _noted(self._receipts, room_id, position)
        elif kind == ACCOUNT_DATA:
            self.account_data = position
            self.likings = None
        elif kind == TO_DEVICE:
            self.to_device = position
        elif kind == OWN_READING:
            self.own_reading = position
        else:
            self.device_lists = position
        self.wake()

    def note_ephemeral(self, counter: int) -> None:
        """Somebody types, or is there, or not any more; wakes who waits."""
        self.ephemeral = counter
        self.wake()

    def make_blank(self) -> None:
        """Forgets everything: the next look must register it anew; wakes who waits."""
        self.rooms = None
        self.generation += 1
        self.likings = self.key_counts = self._events = self._receipts = None
        self.wake()

    def begin(self, position: int, counter: int) -> None:
        """Registered: from these positions on it will know everything."""
        self.began, self.ephemeral = position, counter

    def memory_of(self, device_id: str | None) -> DeviceMemory:
        """What is remembered of one of the user's devices."""
        if self.devices is None:
            self.devices = {}
        return self.devices.setdefault(device_id or "", DeviceMemory())

    def noted_since(self, since: int) -> Noted:
        """What has changed after this position, not before `began`; costs as many steps as there are."""
        return Noted(
            tuple(_since(self._events, since)),
            tuple(_since(self._receipts, since)),
            self.account_data > since,
            self.to_device > since,
            self.device_lists > since,
            self.own_reading > since,
        )

    def may_know_after(self, position: int, counter: int) -> bool:
        """May it know news of after these positions, or have missed them while it was blank?"""
        if self.rooms is None or self.began > position:
            return True
        return self.last > position or self.ephemeral > counter

    @property
    def is_waited_for(self) -> bool:
        """Does a poll wait here?"""
        return bool(self._waiting)

    def waiter(self) -> asyncio.Future[bool]:
        """A future that is True at the next news, of whatever kind; whoever does not want it any more ends it."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = [future]
        else:
            self._waiting = [other for other in self._waiting if not other.done()]
            self._waiting.append(future)
        return future

    def wake(self) -> None:
        """Ends all waiting."""
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(True)


def _noted(noted: OrderedDict[str, int] | None, room_id: str, position: int) -> OrderedDict[str, int]:
    if noted is None:
        return OrderedDict({room_id: position})
    noted[room_id] = position
    noted.move_to_end(room_id)
    return noted


def _since(noted: OrderedDict[str, int] | None, since: int) -> Iterator[str]:
    for room_id in reversed(noted or ()):
        if noted is not None and noted[room_id] <= since:
            break
        yield room_id


class Listeners:
    """One tenant's listeners in one process. Its `told` and `reset` are for the feed, `told_ephemeral` for Ephemeral."""

    def __init__(self, database: Database, feed: Feed, ephemeral: Counter, clock: Now) -> None:
        self._database = database
        self._feed = feed
        self._ephemeral = ephemeral
        self._clock = clock
        self._users: OrderedDict[str, Listener] = OrderedDict()  # in the order of their last polls
        self._rooms: dict[str, set[Listener]] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._present: set[str] = set()
        self._stopped = False
        self.shared = Shared()

    async def stop(self) -> None:
        """Ends what is still being looked up, before the database is closed."""
        for task in self._looking:
            task.cancel()
        if self._looking:
            await asyncio.wait(self._looking)
        self._stopped = True

    async def of(self, user_id: UserID) -> Listener:
        """The user's listener, registered: what happens from now on will not be missed."""
        listener = self._users.get(user_id)
        if listener is None:
            self._forget_idle()
            listener = self._users[user_id] = Listener(user_id)
        listener.polled = self._clock.now()
        self._users.move_to_end(user_id)
        while listener.rooms is None:
            await self._register(listener)
            self._users[user_id] = listener  # it may have been forgotten meanwhile
        return listener

    def share_a_room(self, listener: Listener, user_id: str) -> bool | None:
        """Is this user in a room with the listener's? None when that is not known here."""
        other = self._users.get(user_id)
        if other is None or other.rooms is None or listener.rooms is None:
            return None
        return any(listener in self._rooms[room_id] for room_id in other.rooms)

    def told(self, position: int, woken: tuple[str, ...]) -> None:
        """A commit: notes it for those whom its topics concern."""
        for topic in woken:
            letter, name = topic[0], topic[1:]
            if letter == topics.USER:
                listener = self._users.get(name)
                if listener is not None:
                    self._make_blank(listener)
                continue
            if letter == topics.OWN_RECEIPTS:
                user_id, _, room_id = name.partition("\0")
                listener = self._users.get(user_id)
                if listener is not None and listener in self._rooms.get(room_id, ()):
                    listener.note(RECEIPTS, room_id, position)
                continue
            if (kind := _OF_ROOM.get(letter)) is not None:
                for listener in self._rooms.get(name, ()):
                    listener.note(kind, name, position)
            if (kind := _OF_USER.get(letter)) is not None and (listener := self._users.get(name)) is not None:
                listener.note(kind, "", position)

    def reset(self, position: int) -> None:
        """Commits may have been missed: everybody reads from the database."""
        for listener in self._users.values():
            self._make_blank(listener)

    def told_ephemeral(self, woken: tuple[str, ...]) -> None:
        """Typing or presence has changed."""
        counter = self._ephemeral.position
        for topic in woken:
            letter, name = topic[0], topic[1:]
            if letter == topics.TYPING:
                self._note_ephemeral(name, counter)
            elif letter == topics.PRESENCE:
                self._note_presence(name)

    def _note_ephemeral(self, room_id: str, counter: int) -> None:
        for listener in self._rooms.get(room_id, ()):
            listener.note_ephemeral(counter)

    def _note_presence(self, user_id: str) -> None:
        """Presence waits a little for more of it: when everybody comes back at once, everybody is woken once."""
        self._present.add(user_id)
        if len(self._present) == 1:
            asyncio.get_running_loop().call_later(PRESENCE_PATIENCE, self._tell_presence)

    def _tell_presence(self) -> None:
        users, self._present = self._present, set()
        known = [listener for user_id in users if (listener := self._users.get(user_id)) is not None]
        registered = {listener.user_id for listener in known if listener.rooms is not None}
        self._wake_ephemeral({room_id for listener in known for room_id in listener.rooms or ()}, known)
        if self._users and users - registered and not self._stopped:
            task = asyncio.ensure_future(self._look_up_presence(users - registered))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_up_presence(self, users: Collection[str]) -> None:
        """They sync through another process, or not at all: who shares a room must be asked for."""
        async with self._database.read() as tx:
            self._wake_ephemeral(await rooms_of_users(tx, users), ())

    def _wake_ephemeral(self, rooms: Collection[str], more: Collection[Listener]) -> None:
        """Each listener of these rooms, and of `more`, once."""
        counter = self._ephemeral.position
        for listener in {*more}.union(*(self._rooms.get(room_id, ()) for room_id in rooms)):
            listener.note_ephemeral(counter)

    async def _register(self, listener: Listener) -> None:
        generation = listener.generation
        async with self._database.read() as tx:
            now = await joined_rooms_now(tx, listener.user_id)
        if listener.generation != generation or listener.rooms is not None:
            return  # told of a change meanwhile; or another poll was faster
        listener.rooms, listener.partial = tuple(now.rooms), frozenset(now.partial)
        for room_id in now.rooms:
            self._rooms.setdefault(room_id, set()).add(listener)
        # Of rooms that were joined or left between the two positions it could not know.
        listener.begin(max(now.position, self._feed.position), self._ephemeral.position)

    def _make_blank(self, listener: Listener) -> None:
        self._unregister(listener)
        listener.make_blank()

    def _unregister(self, listener: Listener) -> None:
        for room_id in listener.rooms or ():
            there = self._rooms[room_id]
            there.discard(listener)
            if not there:
                del self._rooms[room_id]

    def _forget_idle(self) -> None:
        long_ago = self._clock.now() - LIFETIME
        while self._users:
            listener = next(iter(self._users.values()))
            if listener.polled >= long_ago or listener.is_waited_for:
                return
            self._make_blank(listener)
            del self._users[listener.user_id]
