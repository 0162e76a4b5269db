"""What is remembered of the connections of sliding sync: in memory only, of one process, and not more than so much.

A connection that is not known (any more) makes its client begin anew, which is always right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.matrix_error import MatrixError
from services.sync.sliding.matching import Matched
from services.sync.sliding.request import RequiredState
from services.sync.sliding.room_list import RoomList
from services.sync.token import Token

Key = tuple[str, str, str]  # user, device, connection
LIFETIME = 60 * 60 * 1000  # milliseconds since the last request
MAX_OF_DEVICE = 10
MAX_ROOMS = 200_000  # told on all connections together: about a kilobyte each
MAX_LISTED = 500_000  # rooms in the lists of all users
_ANSWERS = 2


class UnknownPos(MatrixError):
    """The connection is not known here: the client begins a new one."""

    errcode, usual_message = "M_UNKNOWN_POS", "This connection has expired; begin without a pos"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client has of a room: all up to `position`, by the config that this was told by; `timeline_limit` is how many
    of the last events it has for sure; `members` whom it has been sent (lazily); `shown` the room's fields,
    `counts` what is unread.
    """

    position: int
    membership: str
    timeline_limit: int
    parts: frozenset[RequiredState]
    members: frozenset[str]
    shown: Mapping[str, Any]
    is_dm: bool
    counts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A connection as it is after one answer. `away`: rooms that have dropped out of its windows, and when. `settled`: the
    matched rooms have been told all there was. `mail`: up to where the inbox is known to be read, and empty.
    """

    token: Token | None = None
    rooms: Mapping[str, Sent] = field(default_factory=dict)
    away: Mapping[str, int] = field(default_factory=dict)
    matched: Matched | None = None
    settled: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    extensions: frozenset[str] = frozenset()
    key_counts: tuple[bytes, bytes] | None = None
    mail: int | None = None


@dataclass(slots=True)
class Connection:
    """The state that the client has shown to have, and those of answers that it may have got since."""

    used: int
    base: State = State()
    pos: str | None = None
    answers: OrderedDict[str, State] = field(default_factory=OrderedDict)

    def at(self, pos: str | None) -> State:
        """The state at this pos; what came before it is forgotten. Raises UnknownPos."""
        if pos == self.pos:
            return self.base
        found = self.answers.get(pos or "")
        if found is None:
            raise UnknownPos
        self.base, self.pos = found, pos
        self.answers.clear()
        return found

    def answered(self, pos: str, state: State) -> None:
        """The client may go on from here."""
        self.answers[pos] = state
        while len(self.answers) > _ANSWERS:
            self.answers.popitem(last=False)

    @property
    def size(self) -> int:
        """How many rooms were told on it."""
        return max([len(self.base.rooms), *(len(state.rooms) for state in self.answers.values())])


class Connections:
    """One tenant's connections and lists in one process."""

    def __init__(self, rooms: int = MAX_ROOMS, listed: int = MAX_LISTED) -> None:
        self._most = rooms
        self._most_listed = listed
        self._size = self._listed = 0
        self._known: OrderedDict[Key, Connection] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._lists: OrderedDict[str, RoomList] = OrderedDict()
        self._list_sizes: dict[str, int] = {}

    def begin(self, key: Key, now: int) -> Connection:
        """A new connection in place of any old one of this name."""
        self._forget(key)
        connection = self._known[key] = Connection(now)
        of_device = [other for other in self._known if other[:2] == key[:2]]
        for other in of_device[:-MAX_OF_DEVICE]:
            self._forget(other)
        return connection

    def find(self, key: Key, now: int) -> Connection:
        """The connection of this name; raises UnknownPos."""
        while self._known and next(iter(self._known.values())).used < now - LIFETIME:
            self._forget(next(iter(self._known)))
        connection = self._known.get(key)
        if connection is None:
            raise UnknownPos
        connection.used = now
        self._known.move_to_end(key)
        return connection

    def keep(self, key: Key, connection: Connection) -> None:
        """The connection has grown; if all of them are too much now, those not used for longest go."""
        if self._known.get(key) is not connection:
            return
        self._size += connection.size - self._sizes.get(key, 0)
        self._sizes[key] = connection.size
        while self._size > self._most and len(self._known) > 1:
            self._forget(next(iter(self._known)))

    def _forget(self, key: Key) -> None:
        self._known.pop(key, None)
        self._size -= self._sizes.pop(key, 0)

    def list_of(self, user_id: str) -> RoomList:
        """The user's list of rooms, if only an empty one that nobody has read yet."""
        found = self._lists.get(user_id)
        if found is None:
            found = self._lists[user_id] = RoomList(user_id)
        self._lists.move_to_end(user_id)
        return found

    def keep_list(self, rooms: RoomList) -> None:
        """The list has been read."""
        if self._lists.get(rooms.user_id) is not rooms:
            return
        self._listed += len(rooms.entries) - self._list_sizes.get(rooms.user_id, 0)
        self._list_sizes[rooms.user_id] = len(rooms.entries)
        while self._listed > self._most_listed and len(self._lists) > 1:
            user_id, _ = self._lists.popitem(last=False)
            self._listed -= self._list_sizes.pop(user_id, 0)
