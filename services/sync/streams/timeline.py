"""Timelines: the last events of each room, those that the reader may see and wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.ids import RoomID
from services.rooms.tail import LENGTH, TailEvent, stored_tail_event
from services.rooms.visibility import Asked, hidden_from
from services.rooms.wanted import is_for_sql_alone, lets_through, needs_relations, wanted_by
from services.sync.look import Look, Window
from storage.timeline import newest_of_rooms


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
    shown = page.events if wanted.is_everything and not look.ignored else tuple(_shown(look, page.events))
    kept = _newest(_from_last_conflict(page.events, shown), wanted.limit)
    limited = len(kept) < len(shown)
    shown = kept
    complete = len(shown) == len(page.events) or _all_state(page.events) == _all_state(shown)
    plain = complete and all(event.plain for event in page.events)
    return Timeline(shown, limited, _start(window, shown, limited), plain)


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
    limit = wanted.limit if is_for_sql_alone(wanted) and not look.ignored else max(2 * wanted.limit, LENGTH)
    ranges = [(w.room_id, w.after, w.upto) for w in asked]
    rows = await newest_of_rooms(tx, ranges, wanted_by(wanted), limit + 1) if not wanted.is_nothing else {}
    read = {
        w.room_id: [stored_tail_event(row) for row in reversed(rows.get(w.room_id, [])[:limit])]
        for w in asked
    }
    hidden = await hidden_from(
        tx, look.user_id, [Asked(read[w.room_id], w.joined_until, w.joined_from) for w in asked]
    )
    timelines = {}
    for window in windows:
        every = read.get(window.room_id, [])
        events = tuple(e for e in _shown(look, every) if e.event_id not in hidden)
        kept = _newest(_from_last_conflict(every, events), wanted.limit)
        more = len(kept) < len(events) or len(rows.get(window.room_id, ())) > limit
        timelines[window.room_id] = Timeline(
            kept, more or window.fresh, _start(window, kept, more or window.whole)
        )
    return timelines


def _from_last_conflict(every: Sequence[TailEvent], shown: tuple[TailEvent, ...]) -> tuple[TailEvent, ...]:
    """The shown events after the last one whose change of state was overtaken by an event that is kept back.

    What is kept back of the state is told before the timeline, so that the client would take the older one for the newer.
    """
    if len(shown) == len(every):
        return shown
    shown_ids = {event.event_id for event in shown}
    overtaking = set()
    for event in reversed(every):
        if event.state_key is None:
            continue
        key = (event.type, event.state_key)
        if event.event_id not in shown_ids:
            overtaking.add(key)
        elif key in overtaking:
            return tuple(later for later in shown if later.position > event.position)
    return shown


def _newest(events: tuple[TailEvent, ...], limit: int) -> tuple[TailEvent, ...]:
    return events[-limit:] if limit else ()


def _start(window: Window, events: Sequence[TailEvent], begins_with_first: bool) -> int:
    if not begins_with_first:
        return window.after
    return events[0].position - 1 if events else window.upto
