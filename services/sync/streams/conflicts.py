"""State events in timelines that are not what the room's state has in the end: the client would take them for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.events import StateKey
from services.rooms.tail import TailEvent
from services.sync.look import Section, Window
from storage.database import Tx
from storage.sliding import state_of_keys

Events = tuple[TailEvent, ...]


def from_last_conflict(every: Sequence[TailEvent], shown: Events) -> Events:
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


async def without_lost_history(
    tx: Tx, windows: Sequence[Window], shown: Mapping[str, Events]
) -> dict[str, Events]:
    """Of the shown events of each room that is joined those after the last state event that was fetched as history and has
    lost against one which stands before it.
    """
    wanted = {
        (window.room_id, event.type, event.state_key)
        for window in windows
        if window.section is Section.JOIN
        for event in shown[window.room_id]
        if not event.live and event.state_key is not None
    }
    stands: dict[str, dict[StateKey, str]] = {}
    for row in await state_of_keys(tx, sorted(wanted)):
        stands.setdefault(row["room_id"], {})[row["type"], row["state_key"]] = row["event_id"]
    rooms = {room_id for room_id, _, _ in wanted}
    return {
        room_id: _behind_lost(events, stands.get(room_id, {})) if room_id in rooms else events
        for room_id, events in shown.items()
    }


def _behind_lost(events: Events, stands: Mapping[StateKey, str]) -> Events:
    last: set[StateKey] = set()
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.state_key is None or (key := (event.type, event.state_key)) in last:
            continue
        last.add(key)
        if not event.live and stands.get(key) != event.event_id:
            return events[index + 1 :]
    return events
