"""Typing and presence: not stored, the same in all processes, numbered by one counter."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Protocol

from storage.redis.replica import PresenceState, Replica
from storage.redis.timer import Clock, Timer

Typing = tuple[str, str, int]
"""A room, a user who types in it, and until when (ms)."""


class Ephemeral(Protocol):
    """Typing and presence of one tenant. Reading is from memory; every change moves `position`."""

    @property
    def position(self) -> int:
        """The number of the newest change; tokens of an earlier run are older."""

    def subscribe(self, callback: Callable[[tuple[str, ...]], None]) -> None:
        """It is called after each change, with `topics.typing(room)` or `topics.presence(user)`."""

    def typing(self, room_id: str) -> tuple[str, ...]:
        """Who types in the room, sorted."""

    def typing_changed_since(self, since: int, rooms: Container[str], upto: int | None = None) -> list[str]:
        """Those of the rooms (a set) where the typing changed after `since`; costs O(changes)."""

    async def set_typing(self, room_id: str, user_id: str, until: int | None) -> None:
        """The user types until then (ms; it ends by itself), or ceases to type."""

    def presence(self, user_id: str) -> PresenceState | None:
        """The user's presence as last set; None when nothing is known."""

    def presence_changed_since(self, since: int, users: Container[str], upto: int | None = None) -> list[str]:
        """Those of the users (a set) whose presence looks different after `since`; costs O(changes)."""

    async def set_presence(self, user_id: str, state: PresenceState) -> None:
        """Sets the user's presence; only what others can see of it counts as a change."""

    async def start(self) -> None:
        """Begins: after this the memory is what the other processes have."""

    async def stop(self) -> None:
        """Ends."""


class PresenceWatch:
    """Changes the presence of those of whom nothing is heard: idle first, then offline."""

    def __init__(self, clock: Clock, ephemeral: Ephemeral) -> None:
        self._clock = clock
        self._ephemeral = ephemeral
        self._timer: Timer[str] = Timer("presence", clock, self._due)
        self._watched: set[str] = set()
        self.start, self.stop = self._timer.start, self._timer.stop

    def watch(self, user_id: str, state: PresenceState) -> None:
        """The user has this presence now."""
        at = state.changes_at
        if at is not None and user_id not in self._watched:
            self._watched.add(user_id)
            self._timer.add(at, user_id)

    async def _due(self, user_id: str) -> None:
        self._watched.discard(user_id)
        state = self._ephemeral.presence(user_id)
        if state is None:
            return
        changed = state.at(self._clock.now())
        if changed != state:
            await self._ephemeral.set_presence(user_id, changed)
        self.watch(user_id, changed)


class LocalEphemeral:
    """The in-process twin: the memory is all there is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._replica = Replica(clock.now())
        self._timer: Timer[Typing] = Timer("typing", clock, self._expire)
        self._watch = PresenceWatch(clock, self)

    @property
    def position(self) -> int:
        """The number of the newest change."""
        return self._replica.position

    def subscribe(self, callback: Callable[[tuple[str, ...]], None]) -> None:
        """From now on it is called after each change."""
        self._replica.subscribe(callback)

    def typing(self, room_id: str) -> tuple[str, ...]:
        """Who types in the room, sorted."""
        return self._replica.typing(room_id, self._clock.now())

    def typing_changed_since(self, since: int, rooms: Container[str], upto: int | None = None) -> list[str]:
        """Those of the rooms where somebody began or ceased to type."""
        return self._replica.typing_changed_since(since, rooms, upto)

    async def set_typing(self, room_id: str, user_id: str, until: int | None) -> None:
        """The user types until then, or ceases to type."""
        typing = dict(self._replica.typing_room(room_id))
        if until is None:
            if typing.pop(user_id, None) is None:
                return
        else:
            typing[user_id] = until
            self._timer.add(until, (room_id, user_id, until))
        self._replica.set_typing(self.position + 1, room_id, typing)

    def presence(self, user_id: str) -> PresenceState | None:
        """The user's presence as last set."""
        return self._replica.presence(user_id)

    def presence_changed_since(self, since: int, users: Container[str], upto: int | None = None) -> list[str]:
        """Those of the users whose presence looks different."""
        return self._replica.presence_changed_since(since, users, upto)

    async def set_presence(self, user_id: str, state: PresenceState) -> None:
        """Sets the user's presence."""
        self._replica.set_presence(self.position + 1, user_id, state)
        self._watch.watch(user_id, state)

    async def start(self) -> None:
        """Begins to end what times out."""
        self._timer.start()
        self._watch.start()

    async def stop(self) -> None:
        """Ends."""
        await self._timer.stop()
        await self._watch.stop()

    async def _expire(self, typing: Typing) -> None:
        room_id, user_id, until = typing
        if self._replica.typing_room(room_id).get(user_id) == until:
            await self.set_typing(room_id, user_id, None)
