"""The state that goes with a room: what its config asks for, all of it or what has changed, and members as they are needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from protocol.events import MEMBER, REDACTION, StateKey
from services.rooms.client_event import shared_json, unsigned_member
from services.rooms.tail import TailEvent
from services.sync.sliding.request import RequiredState, RoomConfig
from services.sync.streams.state import StateEvent
from storage import sliding
from storage.database import Tx
from storage.state_reading import deltas, members, state_events, state_of_rooms, state_without_members
from storage.timeline import NEWEST

NAME: StateKey = ("m.room.name", "")
AVATAR: StateKey = ("m.room.avatar", "")


@dataclass(frozen=True, slots=True)
class Job:
    """A room whose state is due: changes in (after, until]; all that `config` asks for and `had` did not. `is_gap`: there
    are events that the client is not told of. `known` are the members that it has.
    """

    room_id: str
    after: int
    until: int
    whole: bool
    is_gap: bool
    config: RoomConfig
    had: frozenset[RequiredState]
    known: frozenset[str]
    timeline: Sequence[TailEvent]

    @property
    def expands(self) -> bool:
        """Is more asked for than before?"""
        return self.whole or not self.config.parts <= self.had

    @property
    def rereads_fields(self) -> bool:
        """May the name and the avatar be others, though no state has changed? A redaction takes them out of their events."""
        return self.whole or self.is_gap or any(event.type == REDACTION for event in self.timeline)

    def had_before(self, key: StateKey) -> bool:
        """Was the key asked for already, and so told?"""
        return not self.whole and any(part.matches(*key) for part in self.had)


@dataclass(slots=True)
class Due:
    """What is told of one room's state: events, the keys under which nothing stands any more, name and avatar where they
    may have changed, and the members among the events."""

    events: list[StateEvent] = field(default_factory=list)
    removed: list[StateKey] = field(default_factory=list)
    fields: dict[str, str | None] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)


async def required_state(tx: Tx, jobs: Sequence[Job], now: int) -> dict[str, Due]:
    """What is due in each room."""
    rows = await _standing(tx, jobs)
    ranges = [(job.room_id, job.until if job.whole else job.after, NEWEST) for job in jobs]
    changed = await deltas(tx, ranges)
    states = {job.room_id: _ids_due(job, rows[job.room_id], changed.get(job.room_id, [])) for job in jobs}
    known = {row["event_id"]: row for found in rows.values() for row in found.values()}
    missing = {i for state in states.values() for i in state.values() if i is not None} - known.keys()
    known |= {row["event_id"]: row for row in await state_events(tx, missing)}
    return {job.room_id: _due(job, states[job.room_id], known, now) for job in jobs}


def _needed(job: Job) -> set[str]:
    """«All the senders of events in timeline», and the targets of membership events, less those that the client has."""
    if not job.config.lazy_members:
        return set()
    users = {event.sender for event in job.timeline}
    users.update(e.state_key for e in job.timeline if e.type == MEMBER and e.state_key is not None)
    return users - job.known


async def _standing(tx: Tx, jobs: Sequence[Job]) -> dict[str, dict[StateKey, asyncpg.Record]]:
    """What stands now under the keys that must be read (and perhaps under others)."""
    keys: list[tuple[str, str, str]] = []
    types: list[tuple[str, str]] = []
    whole: list[str] = []
    without_members: list[str] = []
    for job in jobs:
        keys += [(job.room_id, MEMBER, user) for user in sorted(_needed(job))]
        if job.rereads_fields:
            keys += [(job.room_id, *NAME), (job.room_id, *AVATAR)]
        if not job.expands:
            continue
        elements = job.config.elements
        keys += [(job.room_id, t, k) for t, k in elements if t is not None and k is not None]
        keys += [(job.room_id, MEMBER, k) for t, k in elements if t is None and k is not None]
        all_members = any(part.wants_all_members for part in job.config.parts)
        if any(event_type is None for event_type, _ in elements):
            (whole if all_members and (None, None) in elements else without_members).append(job.room_id)
        types += [
            (job.room_id, event_type)
            for event_type, state_key in elements
            if event_type is not None and state_key is None and (event_type != MEMBER or all_members)
        ]
    rows = [*await sliding.state_of_keys(tx, sorted(set(keys))), *await sliding.state_of_types(tx, types)]
    rows += await state_of_rooms(tx, whole)
    rows += await state_without_members(tx, without_members)
    found: dict[str, dict[StateKey, asyncpg.Record]] = {job.room_id: {} for job in jobs}
    for row in rows:
        found[row["room_id"]][row["type"], row["state_key"]] = row
    return found


def _ids_due(
    job: Job, standing: Mapping[StateKey, asyncpg.Record], changed: Sequence[asyncpg.Record]
) -> dict[StateKey, str | None]:
    """The events that are due under each key, at `until`; None where nothing stands any more."""
    state: dict[StateKey, str | None] = {key: row["event_id"] for key, row in standing.items()}
    due = {key: event_id for key, event_id in state.items() if _is_due(job, key)}
    later: set[StateKey] = set()
    lazily = job.known | _needed(job)
    for delta in changed:
        key = (delta["type"], delta["state_key"])
        if delta["filled_in"] and key[1] not in lazily and not job.config.matches(*key):
            continue
        if delta["position"] <= job.until:
            if _changes_are_due(job, key):
                due[key] = delta["event_id"]
        elif key not in later:
            later.add(key)
            if key in due or (job.expands and _is_due(job, key)):
                due[key] = delta["previous"]
    return due


def _is_due(job: Job, key: StateKey) -> bool:
    if key in (NAME, AVATAR) and job.rereads_fields:
        return True
    if key[0] == MEMBER and job.config.lazy_members and key[1] in _needed(job):
        return True
    return job.expands and job.config.matches(*key) and not job.had_before(key)


def _changes_are_due(job: Job, key: StateKey) -> bool:
    if key in (NAME, AVATAR) or job.config.matches(*key):
        return True
    # «All membership updates since the last sync when `limited` is false»
    return key[0] == MEMBER and job.config.lazy_members and (not job.is_gap or key[1] in _needed(job))


def _due(
    job: Job, state: Mapping[StateKey, str | None], known: Mapping[str, asyncpg.Record], now: int
) -> Due:
    due = Due()
    for key, event_id in state.items():
        row = known.get(event_id) if event_id is not None else None
        json = orjson.loads(row["json"]) if row is not None else None
        if key in (NAME, AVATAR):
            field_name, member = ("name", "name") if key == NAME else ("avatar", "url")
            due.fields[field_name] = _text(json, member)
        is_lazy = key[0] == MEMBER and job.config.lazy_members
        if not is_lazy and not job.config.matches(*key):
            continue
        if row is None or json is None:
            if not job.whole:
                due.removed.append(key)
            continue
        if key[0] == MEMBER:
            due.members.add(key[1])
        unsigned = unsigned_member(now - row["origin_server_ts"], b"")
        due.events.append(StateEvent(row["event_id"], *key, shared_json(row["event_id"], json), unsigned))
    return due


def _text(json: Mapping[str, Any] | None, member: str) -> str | None:
    value = json["content"].get(member) if json is not None else None
    return value if isinstance(value, str) and value else None


async def shown_heroes(tx: Tx, heroes: Mapping[str, Collection[str]]) -> dict[str, list[dict[str, str]]]:
    """The heroes of each room, with what their member events call them."""
    pairs = [(room_id, user) for room_id, users in heroes.items() for user in users]
    contents = {
        (row["room_id"], row["state_key"]): orjson.loads(row["json"])["content"]
        for row in await members(tx, pairs)
    }
    return {
        room_id: [_hero(user, contents.get((room_id, user), {})) for user in users]
        for room_id, users in heroes.items()
    }


def _hero(user_id: str, content: Mapping[str, Any]) -> dict[str, str]:
    told = {"user_id": user_id}
    for field_name in ("displayname", "avatar_url"):
        value = content.get(field_name)
        if isinstance(value, str):
            told[field_name] = value
    return told
