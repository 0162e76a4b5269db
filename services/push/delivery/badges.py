"""How much is unread for a user in all rooms together: kept by room, so that news costs a look at one of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from protocol.ids import RoomID, UserID
from services.likings import Likings, read_likings
from services.push.unread import unread
from services.tenant import Tenant
from storage.database import Tx
from storage.push.following import missed_calls
from storage.rooms_of import joined_rooms_now

MAX_USERS = 20_000
CALL_INVITE = "m.call.invite"


@dataclass(frozen=True, slots=True)
class Badge:
    """The number for the application's icon, and what it is made of."""

    unread: int
    missed_calls: int
    rooms: dict[str, int]


@dataclass(slots=True)
class _User:
    """What is known; `rooms` and `likings` None: nothing. Of the rooms in `dirty` it is not known any more."""

    rooms: dict[str, int] | None = None
    likings: Likings | None = None
    is_doubtful: bool = False
    dirty: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)  # rooms in which somebody has called
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Badges:
    """The badges of one tenant's users who have pushers."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._users: OrderedDict[str, _User] = OrderedDict()

    def forget(self, user_id: str) -> None:
        """The user may be in other rooms now, or have other rules."""
        self._users.pop(user_id, None)

    def forget_all(self) -> None:
        """Anything may have happened."""
        self._users.clear()

    def doubt(self, user_id: str) -> None:
        """The user's likings may have changed."""
        known = self._users.get(user_id)
        if known is not None:
            known.is_doubtful = True

    def read_in(self, user_id: str, room_ids: Collection[str]) -> None:
        """More or less may be unread in these rooms."""
        known = self._users.get(user_id)
        if known is not None:
            known.dirty.update(room_ids)

    def called_in(self, user_id: str, room_id: str) -> None:
        """Somebody has called there."""
        self._user(user_id).calls.add(room_id)

    async def likings(self, user_id: UserID) -> Likings:
        """Whom the user ignores, and whose invites the user does not want."""
        known = self._user(user_id)
        if known.likings is None or known.is_doubtful:
            known.is_doubtful = False
            async with self._tenant.database.read() as tx:
                likings = await read_likings(tx, user_id, self._tenant.settings.server_notices)
            if likings != known.likings:
                known.rooms = None
            known.likings = likings
        return known.likings

    async def of(self, user_id: UserID) -> Badge:
        """The user's badge now."""
        ignored = (await self.likings(user_id)).ignored
        known = self._user(user_id)
        # Several devices ask at once: the second one must not take for known what the first one is looking at.
        async with known.lock:
            return await self._look(user_id, known, ignored)

    async def _look(self, user_id: UserID, known: _User, ignored: frozenset[str]) -> Badge:
        dirty, known.dirty = known.dirty, set()
        try:
            async with AsyncExitStack() as stack:
                opened: list[Tx] = []

                async def lazily() -> Tx:
                    if not opened:
                        opened.append(await stack.enter_async_context(self._tenant.database.snapshot()))
                    return opened[0]

                rooms = known.rooms
                if rooms is None:
                    dirty, rooms = set((await joined_rooms_now(await lazily(), user_id)).rooms), {}
                if dirty:
                    upto = self._tenant.feed.position
                    asked = [RoomID(room_id) for room_id in dirty]
                    found = await unread(self._tenant, user_id, asked, upto, ignored, lazily)
                    rooms = {room_id: count for room_id, count in rooms.items() if room_id not in dirty}
                    rooms |= {room_id: n for room_id, one in found.items() if (n := one.total.notify)}
                calls = known.calls & rooms.keys()
                missed = await missed_calls(await lazily(), user_id, calls) if calls else 0
                known.calls = calls
        except BaseException:
            self.forget(user_id)
            raise
        known.rooms = rooms
        return Badge(sum(rooms.values()), missed, rooms)

    def _user(self, user_id: str) -> _User:
        known = self._users.get(user_id)
        if known is None:
            known = self._users[user_id] = _User()
            if len(self._users) > MAX_USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(user_id)
        return known
