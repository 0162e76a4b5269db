"""Timelines: the last events of each room, those that the reader may see and wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.ids import RoomID
from services.rooms.tail import LENGTH, TailEvent, stored_tail_event
from services.rooms.visibility import Asked, hidden_from
from services.rooms.wanted import is_for_sql_alone, lets_through, needs_relations, wanted_by
from services.sync.look import Look, Window
from services.sync.streams.conflicts import from_last_conflict, without_lost_history
from storage.gaps import open_floors
from storage.timeline import ANY, OLDEST, newest_of_rooms


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events in their order. `limited`: older ones were left out; `start`: the position before the first of them, at
    which the client needs the room's state; `shows_all_state`: no state changed but by these events.
    """

    events: tuple[TailEvent, ...]
    limited: bool
    start: int
    shows_all_state: bool = False


async def changes(look: Look, windows: Sequence[Window]) -> dict[str, Timeline]:
    """The timeline of each window, from memory as far as the room is hot."""
    timelines: dict[str, Timeline] = {}
    for window in windows if look.noted is not None else ():
        timeline = await _hot(look, window)
        if timeline is not None:
            timelines[window.room_id] = timeline
    rest = [window for window in windows if window.room_id not in timelines]
    if rest:
        timelines |= await _stored(look, rest)
    return timelines


async def _hot(look: Look, window: Window) -> Timeline | None:
    wanted = look.filter.room.timeline
    if needs_relations(wanted):
        return None
    page = look.tenant.tails.peek(window.room_id, window.after, window.upto, LENGTH)
    if page is None:
        page = await look.tenant.tails.read(window.room_id, window.after, window.upto, LENGTH)
    if page.limited:
        return None
    events = _behind_gap(page.events)
    shown = events if wanted.is_everything and not look.ignored else tuple(_shown(look, events))
    kept = _newest(from_last_conflict(events, shown), wanted.limit)
    limited = len(kept) < len(shown) or _begins_with_gap(events)
    shown = kept
    complete = len(shown) == len(events) or _all_state(events) == _all_state(shown)
    plain = complete and all(event.plain for event in events)
    return Timeline(shown, limited, _start(window, shown, limited), plain)


def _behind_gap(events: tuple[TailEvent, ...]) -> tuple[TailEvent, ...]:
    """The events from the last one on before which others were missing when it came: what was fetched since then is no news."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].gap:
            return events[index:]
    return events


def _begins_with_gap(events: Sequence[TailEvent]) -> bool:
    return bool(events) and events[0].gap


def _all_state(events: Iterable[TailEvent]) -> list[str]:
    return [event.event_id for event in events if event.state_key is not None]


def _shown(look: Look, events: Iterable[TailEvent]) -> list[TailEvent]:
    wanted = look.filter.room.timeline
    return [
        event
        for event in events
        if (event.sender not in look.ignored or event.state_key is not None)
        and (wanted.is_everything or lets_through(wanted, event))
    ]


async def _stored(look: Look, windows: Sequence[Window]) -> dict[str, Timeline]:
    wanted = look.filter.room.timeline
    tx = await look.connection.tx()
    asked = [w for w in windows if wanted.allows_room(RoomID(w.room_id))]
    read, cut = await _read(look, asked)
    places = [Asked(read[w.room_id], w.joined_until, w.joined_from) for w in asked]
    hidden = await hidden_from(tx, look.user_id, places)
    shown = {w.room_id: _visible(look, w, read.get(w.room_id, ()), hidden) for w in windows}
    kept = {
        room_id: _newest(from_last_conflict(read.get(room_id, ()), events), wanted.limit)
        for room_id, events in shown.items()
    }
    kept = await without_lost_history(tx, windows, kept)
    timelines = {}
    for window in windows:
        room_id, events = window.room_id, kept[window.room_id]
        more = room_id in cut or len(events) < len(shown[room_id])
        start = _start(window, events, more or window.whole)
        timelines[room_id] = Timeline(events, more or window.fresh, start)
    return timelines


async def _read(
    look: Look, windows: Sequence[Window]
) -> tuple[dict[str, tuple[TailEvent, ...]], frozenset[str]]:
    """The newest events of each window that are wanted, as far as SQL knows that, from the last gap on; and the rooms in which
    there are older ones."""
    wanted = look.filter.room.timeline
    if wanted.is_nothing:
        return {window.room_id: () for window in windows}, frozenset()
    limit = wanted.limit if is_for_sql_alone(wanted) and not look.ignored else max(2 * wanted.limit, LENGTH)
    ranges = [(w.room_id, w.after, w.upto, w.after > OLDEST) for w in windows]
    rows = await newest_of_rooms(await look.connection.tx(), ranges, wanted_by(wanted), limit + 1)
    read = {
        w.room_id: tuple(map(stored_tail_event, reversed(rows.get(w.room_id, [])[:limit]))) for w in windows
    }
    cut = {room_id for room_id, found in rows.items() if len(found) > limit}
    gaps = await _open_gaps(look, windows, read)
    for window in windows:
        room_id = window.room_id
        if room_id in gaps:
            read[room_id] = tuple(event for event in read[room_id] if event.position > gaps[room_id])
        elif window.after > OLDEST:
            read[room_id] = _behind_gap(read[room_id])
        if room_id in gaps or (window.after > OLDEST and _begins_with_gap(read[room_id])):
            cut.add(room_id)
    return read, frozenset(cut)


async def _open_gaps(
    look: Look, windows: Sequence[Window], read: Mapping[str, Sequence[TailEvent]]
) -> dict[str, int]:
    """For those who begin with a window's end the last place where events are still missing: what was fetched is shown."""
    is_filtered = wanted_by(look.filter.room.timeline) != ANY
    asked = {
        w.room_id: w.upto
        for w in windows
        if w.after == OLDEST and (is_filtered or any(event.gap for event in read[w.room_id]))
    }
    if not asked:
        return {}
    floors = await open_floors(await look.connection.tx(), list(asked))
    last = {
        room_id: max((f for f in found if f < asked[room_id]), default=None)
        for room_id, found in floors.items()
    }
    return {room_id: floor for room_id, floor in last.items() if floor is not None}


def _visible(
    look: Look, window: Window, every: Sequence[TailEvent], hidden: frozenset[str]
) -> tuple[TailEvent, ...]:
    events = tuple(event for event in _shown(look, every) if event.event_id not in hidden)
    if needs_relations(look.filter.room.timeline) and window.after > OLDEST and _begins_with_gap(every):
        events = tuple(event for event in events if not event.gap)  # it came only for its gap
    return events


def _newest(events: tuple[TailEvent, ...], limit: int) -> tuple[TailEvent, ...]:
    return events[-limit:] if limit else ()


def _start(window: Window, events: Sequence[TailEvent], begins_with_first: bool) -> int:
    if not begins_with_first:
        return window.after
    return events[0].position - 1 if events else window.upto
