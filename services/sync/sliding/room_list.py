"""The list of a user's rooms, newest first: read once, and then kept up by what the listener notes.

It is shared by all connections of the user. A change of the user's own memberships makes the listener blank, and then
the list is read anew; what is known of rooms in which nothing happened is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from services.likings import Likings
from services.rooms.visibility import joined_until
from services.sync.listener import Listener
from services.sync.sliding.request import ListFilter
from storage import sliding
from storage.database import Tx
from storage.summaries import space_children
from storage.timeline import OLDEST

PENDING = ("invite", "knock")


@dataclass(frozen=True, slots=True)
class Facts:
    """What filters look at in the room's state."""

    is_encrypted: bool = False
    room_type: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A room of the user's; `row` is the membership. `position`: of its last event, or of the membership where the user is
    not in it; `until`: where the time in a room that was left ends (OLDEST: the user was never in it, or it is not known).
    """

    row: asyncpg.Record
    position: int
    facts: Facts
    read_at: int
    until: int
    is_listed: bool

    @property
    def room_id(self) -> str:
        """The room."""
        return str(self.row["room_id"])

    @property
    def membership(self) -> str:
        """The user's."""
        return str(self.row["membership"])


@dataclass(frozen=True, slots=True)
class _Children:
    """The children of a space, as they were at a position."""

    rooms: frozenset[str]
    read_at: int


class RoomList:
    """The rooms of one user. Requests that look at the same time may have older and newer snapshots: what was read from an
    older one does not take the place of what is known from a newer one.
    """

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.entries: dict[str, Entry] = {}
        self.order: tuple[Entry, ...] = ()
        self.version = 0
        """Counts what may have changed any list."""
        self.known = -1
        """All that happened up to here is in it, as far as `follows` says so."""
        self.partial: frozenset[str] = frozenset()
        """The listed ones whose members are still to come."""
        self.direct: frozenset[str] = frozenset()
        self.tags: dict[str, frozenset[str]] = {}
        self._own_data_read_at = -1
        self._children: dict[str, _Children] = {}
        self._filtered: dict[ListFilter, tuple[Entry, ...]] = {}
        self._listener: Listener | None = None
        self._generation = -1
        self._likings = Likings()

    def follows(self, listener: Listener) -> bool:
        """Has the listener noted all that happened since the list was read?"""
        return (
            self._listener is listener
            and self._generation == listener.generation
            and listener.rooms is not None
            and self.known >= listener.began
        )

    def may_differ(self, listener: Listener) -> bool:
        """Must it be read before it is used?"""
        if not self.follows(listener):
            return True
        noted = listener.noted_since(self.known)
        return bool(noted.events) or noted.account_data

    async def refresh(
        self, tx: Tx, listener: Listener, generation: int, told: int, at: int, likings: Likings
    ) -> None:
        """Reads what may have changed, in a snapshot at position `at`. `generation` is the listener's from before the
        snapshot was taken, `told` the feed's position then.
        """
        if self.follows(listener) and self._generation == generation:
            noted = listener.noted_since(self.known)
            if noted.account_data:
                await self._read_own_data(tx, at)
            if likings != self._likings:
                await self._read(tx, None, at, likings)
            elif noted.events:
                await self._read(tx, noted.events, at, likings)
            self._likings = likings
            self.known = max(self.known, told)
            return
        await self._read_own_data(tx, at)
        await self._read(tx, None, at, likings)
        self._listener, self._generation, self.known = listener, generation, at
        self._likings = likings

    async def reread(self, tx: Tx, room_ids: Collection[str], at: int, likings: Likings) -> None:
        """Reads these rooms as they are in the snapshot."""
        old = [room_id for room_id in room_ids if self.entries[room_id].read_at < at]
        if old:
            await self._read(tx, old, at, likings)

    async def _read_own_data(self, tx: Tx, at: int) -> None:
        direct: set[str] = set()
        tags: dict[str, frozenset[str]] = {}
        for row in await sliding.direct_and_tags(tx, self.user_id):
            content = orjson.loads(row["content"])
            if row["type"] == "m.tag":
                found = content.get("tags")
                tags[row["room_id"]] = frozenset(found) if isinstance(found, dict) else frozenset()
            else:
                direct.update(_direct_rooms(content))
        if at < self._own_data_read_at:
            return
        self._own_data_read_at = at
        if self.direct != direct or self.tags != tags:
            self.direct, self.tags = frozenset(direct), tags
            self._changed()

    async def _read(self, tx: Tx, room_ids: Collection[str] | None, at: int, likings: Likings) -> None:
        rows = await sliding.room_entries(tx, self.user_id, room_ids)
        moved = [row["room_id"] for row in rows if self._has_moved(row)]
        facts = await _facts_of(tx, moved)
        read = []
        for row in rows:
            room_id = row["room_id"]
            if room_id in facts or room_id not in self.entries:
                known = facts.get(room_id, Facts())
            else:
                known = self.entries[room_id].facts
            read.append(await self._entry(tx, row, known, at, likings))
        if room_ids is None:
            there = {entry.room_id for entry in read}
            old = [room_id for room_id, entry in self.entries.items() if entry.read_at <= at]
            for gone in [room_id for room_id in old if room_id not in there]:
                del self.entries[gone]
        for entry in read:
            before = self.entries.get(entry.room_id)
            if before is None or before.read_at <= at:
                self.entries[entry.room_id] = entry
        if moved or room_ids is None:
            self._sort()

    def _has_moved(self, row: asyncpg.Record) -> bool:
        before = self.entries.get(row["room_id"])
        return (
            before is None
            or before.position != _position(row)
            or before.row["event_id"] != row["event_id"]
            or before.row["is_partial"] != row["is_partial"]
        )

    async def _entry(self, tx: Tx, row: asyncpg.Record, facts: Facts, at: int, likings: Likings) -> Entry:
        membership = row["membership"]
        until, is_listed = OLDEST, not row["forgotten"]
        if membership in PENDING:
            facts = _stripped_facts(row["stripped"])
            is_listed = membership == "knock" or not likings.hides_invite_of(row["sender"])
        elif membership != "join":
            was_removed = membership == "ban" or row["sender"] != self.user_id
            if was_removed and is_listed:
                before = self.entries.get(row["room_id"])
                if before is not None and before.row["event_id"] == row["event_id"]:
                    until = before.until
                else:
                    until = await joined_until(tx, self.user_id, row["room_id"])
            is_listed = until > OLDEST
        return Entry(row, _position(row), facts, at, until, is_listed)

    def _sort(self) -> None:
        listed = [entry for entry in self.entries.values() if entry.is_listed]
        listed.sort(key=lambda entry: entry.position, reverse=True)
        self.order = tuple(listed)
        self.partial = frozenset(entry.room_id for entry in listed if entry.row["is_partial"])
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._filtered.clear()

    async def filtered(self, tx: Tx | None, wanted: ListFilter, at: int) -> tuple[Entry, ...]:
        """The rooms that the filter lets through; without `tx` only if all that is needed is known. `tx` sees the database at
        position `at`.
        """
        found = self._filtered.get(wanted)
        if found is None:
            spaces = [space for space in wanted.spaces or () if not self._knows_children(space)]
            if spaces and tx is not None:
                self._keep_children(await _children_of(tx, spaces), at)
            found = self.order
            if wanted != ListFilter():
                found = tuple(entry for entry in self.order if self._is_wanted(wanted, entry))
            if all(map(self._knows_children, wanted.spaces or ())):
                self._filtered[wanted] = found
        return found

    def _keep_children(self, read: Mapping[str, frozenset[str]], at: int) -> None:
        for space, rooms in read.items():
            before = self._children.get(space)
            if before is None or before.read_at <= at:
                self._children[space] = _Children(rooms, at)
                if before is not None and before.rooms != rooms:
                    self._changed()

    def knows_children(self, wanted: Iterable[ListFilter]) -> bool:
        """Can it filter without asking the database?"""
        return all(self._knows_children(space) for one in wanted for space in one.spaces or ())

    def _knows_children(self, space: str) -> bool:
        """Are they known as they were after the last event of the space that is known of?"""
        known, entry = self._children.get(space), self.entries.get(space)
        return known is not None and (entry is None or entry.position <= known.read_at)

    def _is_wanted(self, wanted: ListFilter, entry: Entry) -> bool:
        room_id, facts = entry.room_id, entry.facts
        tags = self.tags.get(room_id, frozenset())
        return not (
            (wanted.is_dm is not None and wanted.is_dm != (room_id in self.direct))
            or (wanted.is_encrypted is not None and wanted.is_encrypted != facts.is_encrypted)
            or (wanted.is_invited is not None and wanted.is_invited != (entry.membership == "invite"))
            or (wanted.room_types is not None and facts.room_type not in wanted.room_types)
            or facts.room_type in wanted.not_room_types
            or (wanted.tags is not None and tags.isdisjoint(wanted.tags))
            or not tags.isdisjoint(wanted.not_tags)
            or (wanted.name_like is not None and wanted.name_like not in facts.name.casefold())
            or (wanted.spaces is not None and not self._is_in_any(wanted.spaces, room_id))
        )

    def _is_in_any(self, spaces: frozenset[str], room_id: str) -> bool:
        return any(
            self.entries[space].membership == "join" and room_id in self._children[space].rooms
            for space in spaces
            if space in self.entries and space in self._children
        )


def _position(row: asyncpg.Record) -> int:
    position: int = row["position"]
    if row["membership"] == "join" and row["room_position"] is not None:
        return max(position, int(row["room_position"]))
    return position


def _direct_rooms(content: Any) -> Iterable[str]:
    for rooms in content.values():
        if isinstance(rooms, list):
            yield from (room_id for room_id in rooms if isinstance(room_id, str))


async def _facts_of(tx: Tx, room_ids: Collection[str]) -> dict[str, Facts]:
    states: dict[str, dict[str, Any]] = {room_id: {} for room_id in room_ids}
    for row in await sliding.room_facts(tx, room_ids):
        content = orjson.loads(row["json"])["content"] if row["json"] is not None else {}
        states[row["room_id"]][row["type"]] = content
    return {room_id: _facts(state) for room_id, state in states.items()}


def _facts(state: dict[str, Any]) -> Facts:
    room_type = state.get("m.room.create", {}).get("type")
    name = state.get("m.room.name", {}).get("name")
    return Facts(
        "m.room.encryption" in state,
        room_type if isinstance(room_type, str) else None,
        name if isinstance(name, str) else "",
    )


def _stripped_facts(stripped: bytes | None) -> Facts:
    events = orjson.loads(stripped) if stripped is not None else []
    return _facts({e["type"]: e["content"] for e in events if e.get("state_key") == "" and "content" in e})


async def _children_of(tx: Tx, spaces: Collection[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {space: set() for space in spaces}
    for row in await space_children(tx, spaces):
        # «children with an empty or missing via are not children»
        if orjson.loads(row["json"])["content"].get("via"):
            found[row["room_id"]].add(row["state_key"])
    return {space: frozenset(children) for space, children in found.items()}
