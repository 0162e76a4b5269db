"""What is told of rooms: timelines, required state, and the fields that clients draw their list with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from protocol.filters import EventFilter, Filter, RoomFilter
from services.rooms.visibility import joined_until
from services.sync.listener import Noted
from services.sync.look import Look, Section, Window
from services.sync.render import rendered
from services.sync.sliding.connections import Sent
from services.sync.sliding.request import RoomConfig
from services.sync.sliding.required import Due, Job, required_state, shown_heroes
from services.sync.sliding.room_list import PENDING, Entry
from services.sync.streams import invites, summary, timeline
from services.sync.streams.rooms import Rooms
from services.sync.streams.summary import Summary
from services.sync.streams.timeline import Timeline
from services.sync.token import Token
from storage.sliding import last_of_types
from storage.timeline import NEWEST, OLDEST

Json = dict[str, Any]

# «"Proper" activity», and under the names that clients use before the events are in the specification
BUMPING = frozenset(
    (
        "m.room.create",
        "m.room.message",
        "m.room.encrypted",
        "m.sticker",
        "m.call.invite",
        "m.poll.start",
        "m.beacon_info",
        "org.matrix.msc3381.poll.start",
        "org.matrix.msc3672.beacon_info",
        "org.matrix.msc4075.call.notify",
        "org.matrix.msc4075.rtc.notification",
    )
)
_MAX_MEMBERS = 100


@dataclass(frozen=True, slots=True)
class Telling:
    """A room to be told of: by what config, and what the client has of it (None: nothing). One that does not match any more
    is told for the last time.
    """

    entry: Entry
    config: RoomConfig
    sent: Sent | None
    is_dm: bool
    is_matched: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a room, and what the client has then (None: the room is over for it); `events`: the timeline's."""

    json: Json
    sent: Sent | None
    is_initial: bool = False
    is_expanded: bool = False
    events: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Room:
    """A room that the user is or was in, and what of it is due."""

    telling: Telling
    window: Window
    is_initial: bool
    is_expanded: bool


async def tell(
    look: Look, tellings: Sequence[Telling], noted: Noted | None, accepted: bool
) -> dict[str, Told]:
    """What is to be said of the rooms, up to `look.upto`, at which moment the look's connection sees the database. `noted` if
    this process has been told of all that happened up to there.
    """
    outside: list[Telling] = []
    inside: list[_Room] = []
    tx = await look.connection.tx()
    for telling in tellings:
        entry = telling.entry
        until = entry.until
        if entry.membership not in PENDING and entry.membership != "join" and until == OLDEST:
            until = await joined_until(tx, look.user_id, entry.room_id)
        if entry.membership != "join" and until == OLDEST:
            if entry.membership in PENDING or telling.sent is not None:
                outside.append(telling)
            continue
        inside.append(_room(look, telling, until))
    return await _outside(look, outside, accepted) | await _inside(look, inside, noted, accepted)


def _room(look: Look, telling: Telling, until: int) -> _Room:
    entry, sent = telling.entry, telling.sent
    is_initial = sent is None or sent.membership in PENDING
    joined_from = NEWEST
    if entry.membership == "join":
        until, joined_from = look.upto.position, entry.row["since"]
        is_initial = is_initial or (sent is not None and sent.position < joined_from)
    is_expanded = not is_initial and sent is not None and telling.config.timeline_limit > sent.timeline_limit
    after = OLDEST if is_initial or is_expanded or sent is None else sent.position
    section = Section.JOIN if entry.membership == "join" else Section.LEAVE
    joined_until = NEWEST if entry.membership == "join" else until
    window = Window(entry.room_id, after, until, section, is_initial, False, joined_from, joined_until)
    return _Room(telling, window, is_initial, is_expanded)


async def _outside(look: Look, tellings: Sequence[Telling], accepted: bool) -> dict[str, Told]:
    """Invites and knocks: nothing of the room but what came with them; and their end, of which only the end is told."""
    rows: dict[str, list[Any]] = {"invite": [], "knock": [], "leave": []}
    for telling in tellings:
        membership = telling.entry.membership
        rows[membership if membership in PENDING else "leave"].append(telling.entry.row)
    found = await invites.changes(look, Rooms([], rows["invite"], rows["knock"], rows["leave"]))
    told: dict[str, Told] = {}
    for telling in tellings:
        entry = telling.entry
        json: Json = {"bump_stamp": entry.row["position"]}
        if accepted:
            json["membership"] = entry.membership
        if entry.membership not in PENDING:
            events = found["leave"][entry.room_id]["timeline"]["events"]
            json |= {"timeline": events, "required_state": events}
            told[entry.room_id] = Told(json, None)
            continue
        stripped = found[entry.membership][entry.room_id][f"{entry.membership}_state"]["events"]
        json |= {"initial": True, "stripped_state" if accepted else "invite_state": stripped}
        told[entry.room_id] = Told(json, _sent(look, telling, frozenset(), {}), is_initial=True)
    return told


def _sent(
    look: Look,
    telling: Telling,
    members: frozenset[str],
    shown: Mapping[str, Any],
    timeline_limit: int | None = None,
) -> Sent:
    config = telling.config
    return Sent(
        look.upto.position,
        telling.entry.membership,
        config.timeline_limit if timeline_limit is None else timeline_limit,
        config.parts,
        members,
        shown,
        telling.is_dm,
    )


async def _inside(look: Look, rooms: Sequence[_Room], noted: Noted | None, accepted: bool) -> dict[str, Told]:
    if not rooms:
        return {}
    tx = await look.connection.tx()
    timelines = await _timelines(look, rooms, noted)
    jobs = [_job(room, timelines[room.window.room_id]) for room in rooms]
    states = await required_state(tx, jobs, look.now)
    shown = await _shown(look, rooms, timelines, states)
    windows = [room.window for room in rooms]
    events = {room_id: due.events for room_id, due in states.items()}
    written = await rendered(look, windows, timelines, events)
    told: dict[str, Told] = {}
    for room, job in zip(rooms, jobs, strict=True):
        room_id = room.window.room_id
        due, line = states[room_id], timelines[room_id]
        json = _json(look, room, line, shown[room_id], accepted)
        json["timeline"] = written.timelines[room_id]
        state: list[Any] = list(written.states.get(room_id, ()))
        if accepted:
            state += [{"type": event_type, "state_key": key} for event_type, key in due.removed]
        json["required_state"] = state
        sent = _sent(look, room.telling, _members(job, due), shown[room_id], _limit_kept(room, line))
        ids = frozenset(event.event_id for event in line.events)
        if room.telling.sent is not None and not room.is_initial:
            sent = replace(sent, counts=room.telling.sent.counts)
        told[room_id] = Told(
            json, sent if room.telling.is_matched else None, room.is_initial, room.is_expanded, ids
        )
    return told


async def _timelines(look: Look, rooms: Sequence[_Room], noted: Noted | None) -> dict[str, Timeline]:
    """From the tails, where it is known that they are complete; the rest from the database, together by their limits."""
    groups: dict[tuple[int, bool], list[_Room]] = {}
    for room in rooms:
        is_hot = noted is not None and room.window.section is Section.JOIN and room.window.after > OLDEST
        limit = max(1, room.telling.config.timeline_limit)
        groups.setdefault((limit, is_hot), []).append(room)
    found: dict[str, Timeline] = {}
    for (limit, is_hot), group in groups.items():
        limited = Filter(room=RoomFilter(timeline=EventFilter(limit=limit)))
        here = replace(look, filter=limited, noted=noted if is_hot else None)
        found |= await timeline.changes(here, [room.window for room in group])
    for room in rooms:
        if room.telling.config.timeline_limit == 0:
            line = found[room.window.room_id]
            is_limited = bool(line.events) or line.limited
            found[room.window.room_id] = Timeline((), is_limited, room.window.upto)
    return found


def _is_gap(room: _Room, line: Timeline) -> bool:
    """Are there events since the client was last told of the room that it is not told of?"""
    sent = room.telling.sent
    if room.is_initial or sent is None:
        return False
    return line.limited and (not line.events or line.events[0].position > sent.position)


def _job(room: _Room, line: Timeline) -> Job:
    sent = room.telling.sent
    is_whole, is_gap = room.is_initial or sent is None, _is_gap(room, line)
    after = OLDEST if is_whole or sent is None else sent.position
    known = frozenset[str]() if is_whole or is_gap or sent is None else sent.members
    had = frozenset[Any]() if sent is None else sent.parts
    window, config = room.window, room.telling.config
    return Job(window.room_id, after, window.upto, is_whole, is_gap, config, had, known, line.events)


def _members(job: Job, due: Due) -> frozenset[str]:
    if not job.config.lazy_members:
        return frozenset()
    known = job.known | due.members
    return frozenset(due.members) if len(known) > _MAX_MEMBERS else known


def _limit_kept(room: _Room, line: Timeline) -> int:
    """How many of the last events the client has for sure."""
    limit, sent = room.telling.config.timeline_limit, room.telling.sent
    if sent is None or room.is_initial or room.is_expanded or _is_gap(room, line):
        return limit
    return max(limit, sent.timeline_limit)


async def _shown(
    look: Look, rooms: Sequence[_Room], timelines: Mapping[str, Timeline], states: Mapping[str, Due]
) -> dict[str, Json]:
    """The fields of each room as they are now."""
    tx = await look.connection.tx()
    lines = {
        room_id: replace(line, limited=True) if states[room_id].fields else line
        for room_id, line in timelines.items()
    }
    summaries = await summary.changes(look, [room.window for room in rooms], lines)
    fields: dict[str, Json] = {}
    unstamped = []
    for room in rooms:
        room_id, sent = room.window.room_id, room.telling.sent
        before = {} if room.is_initial or sent is None else dict(sent.shown)
        fields[room_id] = now = before | states[room_id].fields
        stamps = [
            event.position for event in timelines[room_id].events if event.live and event.type in BUMPING
        ]
        if room.is_initial or timelines[room_id].limited:
            unstamped.append((room_id, room.window.upto))
        elif stamps and stamps[-1] > before.get("bump_stamp", 0):
            now["bump_stamp"] = stamps[-1]
    found = await last_of_types(tx, unstamped, BUMPING, look.ignored)
    for room in rooms:
        room_id = room.window.room_id
        if room.window.section is Section.LEAVE:
            fields[room_id]["bump_stamp"] = room.telling.entry.row["position"]
        elif room_id in found:
            fields[room_id]["bump_stamp"] = found[room_id]
        fields[room_id].setdefault("bump_stamp", room.telling.entry.row["since"])
    await _add_members(look, fields, summaries)
    return fields


async def _add_members(look: Look, fields: Mapping[str, Json], summaries: Mapping[str, Summary]) -> None:
    unnamed = {
        room_id: found.heroes for room_id, found in summaries.items() if not fields[room_id].get("name")
    }
    heroes = await shown_heroes(await look.connection.tx(), unnamed)
    for room_id, found in summaries.items():
        fields[room_id] |= {"joined_count": found.joined, "invited_count": found.invited}
        if room_id in heroes:
            fields[room_id]["heroes"] = heroes[room_id]
        else:
            fields[room_id].pop("heroes", None)


def _json(look: Look, room: _Room, line: Timeline, shown: Json, accepted: bool) -> Json:
    sent = room.telling.sent
    before: Mapping[str, Any] = {} if room.is_initial or sent is None else sent.shown
    json: Json = {name: value for name, value in shown.items() if before.get(name) != value}
    if room.is_initial:
        json["initial"] = True
    if room.is_expanded:
        json["expanded_timeline" if accepted else "unstable_expanded_timeline"] = True
    was_dm = sent is not None and not room.is_initial and sent.is_dm
    if room.telling.is_dm != was_dm:
        json["is_dm"] = room.telling.is_dm
    if accepted:
        json["membership"] = room.telling.entry.membership
    json["limited"] = line.limited
    first = line.events[0].position - 1 if line.events else room.window.upto
    json["prev_batch"] = str(Token(first))
    live = (
        0
        if look.since is None
        else sum(event.live and event.position > look.since.position for event in line.events)
    )
    json["num_live"] = live
    return json
