"""The state that goes with timelines: all of it, or what has changed; at their start, or (`state_after`) at their end.

The client is to end up with the state at `upto`. Without `state_after` it applies the timeline's state events itself;
what changed in another way (a resolution of forks, an event that a filter kept back) goes into `state` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import asyncpg
import orjson

from protocol.events import MEMBER, StateKey
from protocol.ids import RoomID
from services.rooms.client_event import shared_json, unsigned_member
from services.rooms.wanted import Seen
from services.sync.look import Look, Window
from services.sync.streams.timeline import Timeline
from storage.database import Tx
from storage.state_reading import deltas, members, state_events, state_of_rooms, state_without_members
from storage.timeline import NEWEST

Pair = tuple[str, str]  # of room and user


@dataclass(frozen=True, slots=True)
class StateEvent:
    """A state event as it is told: `json` as in TailEvent, and the member `unsigned` to go with it."""

    event_id: str
    type: str
    state_key: str
    json: bytes
    unsigned: bytes


@dataclass(frozen=True, slots=True)
class _Job:
    """A room whose state must be read: up to position `until`, and for the whole state also what is undone behind it."""

    window: Window
    timeline: Timeline
    until: int
    needed: frozenset[str] | None  # the only members that are due beside changes; None: all of them


async def changes(
    look: Look,
    windows: Sequence[Window],
    timelines: Mapping[str, Timeline],
    heroes: Mapping[str, Sequence[str]],
) -> dict[str, list[StateEvent]]:
    """What is due of each room's state."""
    wanted = look.filter.room.state
    jobs = []
    for window in windows:
        timeline = timelines[window.room_id]
        needed = _needed_members(look, window, timeline, heroes.get(window.room_id, ()))
        until = window.upto if look.state_after else timeline.start
        if wanted.is_nothing or not wanted.allows_room(RoomID(window.room_id)):
            continue
        if (
            window.whole
            or needed
            or timeline.limited
            or not timeline.shows_all_state
            or _is_due_again(look, timeline)
        ):
            jobs.append(_Job(window, timeline, until, needed))
    told = await _told_of(look, jobs) if jobs else {}
    for window in windows:
        _remember_members(look, window.room_id, timelines[window.room_id], told.get(window.room_id, ()))
    return told


def _is_due_again(look: Look, timeline: Timeline) -> bool:
    """With `state_after`, what changed the state in the timeline is told a second time."""
    return look.state_after and any(event.state_key is not None for event in timeline.events)


def _needed_members(
    look: Look, window: Window, timeline: Timeline, heroes: Sequence[str]
) -> frozenset[str] | None:
    """With lazy loading: whose member events the client needs now and was not sent before."""
    wanted = look.filter.room.state
    if not wanted.lazy_load_members:
        return None if window.whole else frozenset()
    users = {event.sender for event in timeline.events}
    users.update(heroes)
    if window.whole:
        users.add(look.user_id)
        users.update(e.state_key for e in timeline.events if e.type == MEMBER and e.state_key is not None)
    if window.whole or wanted.include_redundant_members:
        return frozenset(users)
    return frozenset(user for user in users if not look.memory.knows(window.room_id, user))


def _remember_members(look: Look, room_id: str, timeline: Timeline, state: Iterable[StateEvent]) -> None:
    if look.filter.room.state.lazy_load_members:
        told = [(event.type, event.state_key) for event in timeline.events]
        told += [(event.type, event.state_key) for event in state]
        for event_type, user_id in told:
            if event_type == MEMBER and user_id is not None:
                look.memory.learns(room_id, user_id)


async def _told_of(look: Look, jobs: Sequence[_Job]) -> dict[str, list[StateEvent]]:
    """Reads what many readers of a room need at once only once: those who ask for all the events since the same moment."""
    wants_all = look.filter.room.state.is_everything and look.filter.room.timeline.is_everything
    if look.noted is None or not wants_all:
        return await _read(await look.connection.tx(), look, jobs)
    told: dict[str, list[StateEvent]] = {}
    for job in jobs:
        span = (look.after, job.timeline.start, job.until, job.window.upto)
        key = ("state", job.window.room_id, span, job.needed, look.state_after)
        told |= await look.tenant.listeners.shared.answer(key, partial(_read_one, look, job))
    return told


async def _read_one(look: Look, job: _Job) -> dict[str, list[StateEvent]]:
    async with look.tenant.database.read() as tx:
        return await _read(tx, look, [job])


async def _read(tx: Tx, look: Look, jobs: Sequence[_Job]) -> dict[str, list[StateEvent]]:
    now: dict[str, dict[StateKey, asyncpg.Record]] = {job.window.room_id: {} for job in jobs}
    whole = [job.window.room_id for job in jobs if job.window.whole]
    if look.filter.room.state.lazy_load_members:
        rows = await state_without_members(tx, whole)
    else:
        rows = await state_of_rooms(tx, whole)
    rows += await members(
        tx, [(job.window.room_id, user) for job in jobs for user in sorted(job.needed or ())]
    )
    for row in rows:
        now[row["room_id"]][row["type"], row["state_key"]] = row
    # The changes are read after the state: what happens in between is then undone with them.
    changed = await deltas(
        tx, [(job.window.room_id, job.until if job.window.whole else look.after, NEWEST) for job in jobs]
    )
    due = {
        job.window.room_id: _due(look, job, now[job.window.room_id], changed.get(job.window.room_id, []))
        for job in jobs
    }
    known = {row["event_id"]: row for row in rows}
    missing = {event_id for ids in due.values() for event_id in ids} - known.keys()
    known |= {row["event_id"]: row for row in await state_events(tx, missing)}
    return {room_id: _told(look, [known[i] for i in ids if i in known]) for room_id, ids in due.items()}


def _due(
    look: Look, job: _Job, now: Mapping[StateKey, asyncpg.Record], changed: Sequence[asyncpg.Record]
) -> list[str]:
    """The IDs of the state events that are due for the room."""
    state: dict[StateKey, str | None] = {key: row["event_id"] for key, row in now.items()}
    undone: set[StateKey] = set()
    final: dict[StateKey, str | None] = {}
    for delta in changed:
        key = (delta["type"], delta["state_key"])
        if delta["filled_in"] and not _concerns(look, job, key[1]):
            continue
        if delta["position"] <= job.until:
            state[key] = delta["event_id"]
            undone.add(key)  # what it is at `until` is known, whatever is said below of later changes
            continue
        if key not in undone:
            undone.add(key)
            if key in state or (job.window.whole and (job.needed is None or key[0] != MEMBER)):
                state[key] = delta["previous"]
        if delta["position"] <= job.window.upto:
            final[key] = delta["event_id"]
    if not look.state_after:
        in_timeline = {event.event_id for event in job.timeline.events}
        state.update((key, event_id) for key, event_id in final.items() if event_id not in in_timeline)
    return [event_id for event_id in state.values() if event_id is not None]


def _concerns(look: Look, job: _Job, user_id: str) -> bool:
    """Is a member due of whom we learnt after our join? With lazy loading only one who is needed, or was told of otherwise. (What
    is read for many at once never spans what was filled in, so that nobody's memory is asked for it.)"""
    if not look.filter.room.state.lazy_load_members or user_id in (job.needed or ()):
        return True
    return look.noted is None and look.memory.knows(job.window.room_id, user_id)


def _told(look: Look, rows: Iterable[asyncpg.Record]) -> list[StateEvent]:
    wanted = look.filter.room.state
    told = []
    for row in rows:
        json = orjson.loads(row["json"])
        if not wanted.is_everything and not wanted.matches(Seen(row["type"], row["sender"], json["content"])):
            continue
        shared = shared_json(row["event_id"], json)
        unsigned = unsigned_member(look.now - row["origin_server_ts"], b"")
        told.append(StateEvent(row["event_id"], row["type"], row["state_key"], shared, unsigned))
    return told
