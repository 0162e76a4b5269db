"""A look for news: who looks, from where to where, and with what to read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from protocol.filters import Filter
from protocol.ids import DeviceID, RoomID, UserID
from services.likings import Likings
from services.sync.device_memory import DeviceMemory
from services.sync.listener import Listener, Noted
from services.sync.token import Token
from services.tenant import Tenant
from storage.database import Database, Tx


class Section(Enum):
    """Where in the answer a room stands that has a timeline."""

    JOIN = "join"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Window:
    """What a room has to tell: events at positions in (after, upto]. `whole`: the reader knows nothing of the room, so
    that all state is due; `fresh`: that is so because it was joined since. See `Asked` for the last two.
    """

    room_id: str
    after: int
    upto: int
    section: Section
    whole: bool
    fresh: bool
    joined_from: int
    joined_until: int


class Connection:
    """A database connection that is taken when the first query needs one; or one that is there already."""

    __slots__ = ("_database", "_stack", "_tx")

    def __init__(self, database: Database, stack: AsyncExitStack, tx: Tx | None) -> None:
        self._database = database
        self._stack = stack
        self._tx = tx

    async def tx(self) -> Tx:
        """To run statements on."""
        if self._tx is None:
            self._tx = await self._stack.enter_async_context(self._database.read())
        return self._tx


@asynccontextmanager
async def connection(database: Database, tx: Tx | None = None) -> AsyncIterator[Connection]:
    """A connection that is given back in the end, if it was taken."""
    async with AsyncExitStack() as stack:
        yield Connection(database, stack, tx)


@dataclass(frozen=True, slots=True)
class Look:
    """One look for news of a device, after `since` (None: for everything) up to `upto`.

    `noted`: what the listener has noted, which is all that happened since; None: the database must be asked, and `connection`
    sees it at one moment, at `upto` exactly. `joined` are the rooms that the user is in then, but for those that are `hidden`
    because their members are still to come, and the client wants to be told of all members. `generation` is the listener's
    from before the connection was taken: if it is another one now, what is read may be older than what the listener knows.
    """

    tenant: Tenant
    user_id: UserID
    device_id: DeviceID | None
    filter: Filter
    since: Token | None
    upto: Token
    joined: Collection[str]
    now: int
    listener: Listener
    generation: int
    memory: DeviceMemory
    likings: Likings
    noted: Noted | None
    full_state: bool
    state_after: bool
    connection: Connection
    hidden: frozenset[str] = frozenset()

    @property
    def after(self) -> int:
        """The position after which things are news; before all of them when there is no `since`."""
        return self.since.position if self.since is not None else -1

    @property
    def ignored(self) -> frozenset[str]:
        """Whom the user ignores."""
        return self.likings.ignored

    def wants_room(self, room_id: str) -> bool:
        """Is the room to be seen, and does the filter let anything of it through?"""
        return room_id not in self.hidden and self.filter.room.allows_room(RoomID(room_id))
