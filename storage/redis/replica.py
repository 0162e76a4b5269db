"""All typing and presence of a tenant, in memory: what every process keeps, and what /sync reads.

Each change has a number from one counter, which is the second half of a /sync token. Of each room and user
only the newest change is kept, in the order of the changes: "what changed since" costs what has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from storage import topics

MAX_ROOMS = 20_000
MAX_USERS = 200_000


OFFLINE, ONLINE, UNAVAILABLE = "offline", "online", "unavailable"
# Milliseconds. «idle after 5 minutes»; longer without a /sync than any client waits in one.
IDLE_AFTER, OFFLINE_AFTER = 5 * 60_000, 2 * 60_000


@dataclass(frozen=True, slots=True)
class PresenceState:
    """A user's presence as set, the times (ms) of the last activity and of the last sign of life, and which of our devices
    was last in use.
    """

    presence: str
    last_active: int
    last_seen: int
    status_msg: str | None = None
    device: str | None = None

    def at(self, now: int) -> PresenceState:
        """What has become of it by this time, if nothing was heard of the user since."""
        if self.presence != OFFLINE and now >= self.last_seen + OFFLINE_AFTER:
            return replace(self, presence=OFFLINE)
        if self.presence == ONLINE and now >= self.last_active + IDLE_AFTER:
            return replace(self, presence=UNAVAILABLE)
        return self

    @property
    def changes_at(self) -> int | None:
        """When it looks different by itself; None if never."""
        if self.presence == OFFLINE:
            return None
        offline = self.last_seen + OFFLINE_AFTER
        return min(offline, self.last_active + IDLE_AFTER) if self.presence == ONLINE else offline

    def shows_the_same(self, other: PresenceState | None) -> bool:
        """Would others see no difference?"""
        return other is not None and (self.presence, self.status_msg) == (other.presence, other.status_msg)


@dataclass(frozen=True, slots=True)
class TypingRoom:
    """Who types in a room, each until when (ms), since change `counter`."""

    counter: int
    until: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A user's presence, since change `counter`."""

    counter: int
    state: PresenceState


class Replica:
    """One process' copy. Changes are applied in the order of their numbers; subscribers hear topics."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._typing: dict[str, TypingRoom] = {}  # both in the order of `counter`
        self._presence: dict[str, Seen] = {}
        self._callbacks: list[Callable[[tuple[str, ...]], None]] = []

    def subscribe(self, callback: Callable[[tuple[str, ...]], None]) -> None:
        """From now on it is called with the topics of each change."""
        self._callbacks.append(callback)

    # -- reading

    def typing(self, room_id: str, now: int) -> tuple[str, ...]:
        """Who types in the room now, sorted."""
        room = self._typing.get(room_id)
        return tuple(sorted(user for user, until in room.until.items() if until > now)) if room else ()

    def typing_room(self, room_id: str) -> Mapping[str, int]:
        """Who types in the room, and until when each."""
        room = self._typing.get(room_id)
        return room.until if room else {}

    def presence(self, user_id: str) -> PresenceState | None:
        """The user's presence as last set; None when nothing is known."""
        seen = self._presence.get(user_id)
        return seen.state if seen else None

    def typing_changed_since(self, since: int, rooms: Container[str], upto: int | None) -> list[str]:
        """Those of the rooms whose typing changed after `since` and not after `upto`."""
        return _changed(self._typing, since, rooms, upto)

    def presence_changed_since(self, since: int, users: Container[str], upto: int | None) -> list[str]:
        """Those of the users whose presence changed after `since` and not after `upto`."""
        return _changed(self._presence, since, users, upto)

    # -- changing

    def set_typing(self, counter: int, room_id: str, until: Mapping[str, int]) -> None:
        """Change `counter`: these type in the room. Older changes than the newest known are ignored."""
        if counter > self.position:
            self.position = counter
            self._typing.pop(room_id, None)
            self._typing[room_id] = TypingRoom(counter, until)
            _bound(self._typing, MAX_ROOMS)
            self._tell((topics.typing(room_id),))

    def set_presence(self, counter: int, user_id: str, state: PresenceState) -> None:
        """Change `counter`: the user's presence. Nobody is told when it looks the same as before."""
        if counter > self.position:
            self.position = counter
            before = self._presence.get(user_id)
            if before is not None and state.shows_the_same(before.state):
                self._presence[user_id] = Seen(before.counter, state)
                return
            self._presence.pop(user_id, None)
            self._presence[user_id] = Seen(counter, state)
            _bound(self._presence, MAX_USERS)
            self._tell((topics.presence(user_id),))

    def load(self, position: int, typing: Mapping[str, TypingRoom], presence: Mapping[str, Seen]) -> None:
        """Takes over a copy made elsewhere. What is new to us counts as changed just now, where its own number
        is one that our readers may have passed already."""
        passed = self.position if self._typing or self._presence else 0
        self.position = max(position, self.position)
        rooms = {room_id: TypingRoom(old.counter) for room_id, old in self._typing.items()} | dict(typing)
        users = self._presence | dict(presence)
        for room_id, room in rooms.items():
            old = self._typing.get(room_id)
            if old is not None and old.until == room.until:
                rooms[room_id] = old
            elif room.counter <= passed:
                rooms[room_id] = TypingRoom(self.position, room.until)
        for user_id, seen in users.items():
            known = self._presence.get(user_id)
            if known is not None and known.state.shows_the_same(seen.state):
                users[user_id] = Seen(known.counter, seen.state)
            elif seen.counter <= passed:
                users[user_id] = Seen(self.position, seen.state)
        changed = [topics.typing(i) for i, room in rooms.items() if room is not self._typing.get(i)]
        changed += [topics.presence(i) for i, s in users.items() if s != self._presence.get(i)]
        self._typing = dict(sorted(rooms.items(), key=lambda item: item[1].counter))
        self._presence = dict(sorted(users.items(), key=lambda item: item[1].counter))
        if changed:
            self._tell(tuple(changed))

    def _tell(self, changed: tuple[str, ...]) -> None:
        for callback in self._callbacks:
            callback(changed)


def _changed(
    changes: dict[str, TypingRoom] | dict[str, Seen], since: int, wanted: Container[str], upto: int | None
) -> list[str]:
    found = []
    for name in reversed(changes):
        counter = changes[name].counter
        if counter <= since:
            break
        if (upto is None or counter <= upto) and name in wanted:
            found.append(name)
    return found


def _bound(changes: dict[str, TypingRoom] | dict[str, Seen], most: int) -> None:
    """Forgets the oldest half when there are too many."""
    if len(changes) > most:
        for name in list(changes)[: most // 2]:
            del changes[name]
