"""Which rooms a request matches: those in the windows of its lists, and its subscriptions; and by what config each is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import server_of
from services.sync.sliding.request import RoomConfig, RoomsList, Scope, SlidingRequest, combined
from services.sync.sliding.room_list import Entry, RoomList
from storage.database import Tx


@dataclass(frozen=True, slots=True)
class Matched:
    """What matched: `configs` by room, `windows` the rooms by list; and what that was made from."""

    configs: Mapping[str, RoomConfig]
    windows: Mapping[str, frozenset[str]]
    subscribed: frozenset[str]
    counts: Mapping[str, int]
    version: int
    rooms: RoomList
    lists: Mapping[str, RoomsList]
    subscriptions: Mapping[str, RoomConfig]

    def is_of(self, rooms: RoomList, request: SlidingRequest) -> bool:
        """Would the request match the same again?"""
        return (
            self.rooms is rooms
            and self.version == rooms.version
            and self.lists == request.lists
            and self.subscriptions == request.subscriptions
        )

    def in_scope(self, scope: Scope, room_id: str) -> bool:
        """Does an extension tell of this room? Of one that does not match it does not."""
        if scope.is_everything:
            return room_id in self.configs
        in_list = any(
            room_id in window
            for name, window in self.windows.items()
            if scope.lists is None or name in scope.lists
        )
        return in_list or (room_id in self.subscribed and (scope.rooms is None or room_id in scope.rooms))


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Rooms whose members are still to come do not match where members are asked for: a client that wants to be told of all
    would take those that are known for all, and encrypt for too few.
    """

    rooms: RoomList

    def hides(self, room_id: str, config: RoomConfig) -> bool:
        return room_id in self.rooms.partial and config.wants_members_of_others(server_of(self.rooms.user_id))

    def left_out(self, entries: tuple[Entry, ...], config: RoomConfig) -> tuple[Entry, ...]:
        if not self.rooms.partial:
            return entries
        return tuple(entry for entry in entries if not self.hides(entry.room_id, config))


async def matched(tx: Tx | None, rooms: RoomList, request: SlidingRequest, at: int) -> Matched:
    """What the request matches in the user's rooms as they are known now; `tx` sees the database at position `at`."""
    sources: dict[str, list[RoomConfig]] = {}
    windows: dict[str, frozenset[str]] = {}
    counts: dict[str, int] = {}
    version = rooms.version
    hidden = _Hidden(rooms)
    for name, asked in request.lists.items():
        entries = hidden.left_out(await rooms.filtered(tx, asked.filter, at), asked.config)
        counts[name] = len(entries)
        window = frozenset(entry.room_id for entry in _within(entries, asked))
        windows[name] = window
        for room_id in window:
            sources.setdefault(room_id, []).append(asked.config)
    subscribed = frozenset(
        room_id
        for room_id, config in request.subscriptions.items()
        if _may_be_seen(rooms.entries.get(room_id)) and not hidden.hides(room_id, config)
    )
    for room_id in subscribed:
        sources.setdefault(room_id, []).append(request.subscriptions[room_id])
    combinations: dict[tuple[RoomConfig, ...], RoomConfig] = {}
    configs = {}
    for room_id, found in sources.items():
        key = tuple(found)
        if key not in combinations:
            combinations[key] = combined(found)
        configs[room_id] = combinations[key]
    return Matched(configs, windows, subscribed, counts, version, rooms, request.lists, request.subscriptions)


def _within(entries: tuple[Entry, ...], asked: RoomsList) -> tuple[Entry, ...]:
    if asked.ranges is None:
        return entries
    if len(asked.ranges) == 1:
        first, last = asked.ranges[0]
        return entries[first : last + 1]
    return tuple({e.room_id: e for first, last in asked.ranges for e in entries[first : last + 1]}.values())


def _may_be_seen(entry: Entry | None) -> bool:
    # Whoever left a room may look at it; one who was never in it cannot, which is found out when it is told.
    return (
        entry is not None and not entry.row["forgotten"] and (entry.is_listed or entry.membership == "leave")
    )
