"""Which rooms a connection must be told of now."""

from __future__ import annotations

from services.sync.sliding.connections import Sent, State
from services.sync.sliding.matching import Matched
from services.sync.sliding.request import RoomConfig
from services.sync.sliding.room_list import PENDING, Entry, RoomList
from services.sync.sliding.rooms import Telling


def due(state: State, matched: Matched, rooms: RoomList) -> dict[str, Telling]:
    """The rooms that match and have news, or were never told; and those that the user has left since they were told."""
    if state.settled and state.matched is matched:
        return {}
    found: dict[str, Telling] = {}
    for room_id, config in matched.configs.items():
        entry, sent = rooms.entries.get(room_id), state.rooms.get(room_id)
        if entry is None:
            continue  # another request has just found out that the user has nothing to do with it any more
        is_dm = room_id in rooms.direct
        if sent is None or _has_news(entry, sent, config, is_dm):
            found[room_id] = Telling(entry, config, sent, is_dm, is_matched=True)
    for room_id, had in state.rooms.items():
        known = rooms.entries.get(room_id) if room_id not in matched.configs else None
        if known is not None and _is_over(known) and had.position < known.position:
            config = RoomConfig(had.timeline_limit, had.parts)
            found[room_id] = Telling(known, config, had, had.is_dm, is_matched=False)
    return found


def _is_over(entry: Entry) -> bool:
    # «Rooms that the user has been in but left are only included if the room was previously sent to the client»
    return not entry.is_listed and entry.membership != "join" and entry.membership not in PENDING


def _has_news(entry: Entry, sent: Sent, config: RoomConfig, is_dm: bool) -> bool:
    if entry.position > sent.position or entry.membership != sent.membership:
        return True
    if entry.membership in PENDING:
        return False
    return (
        config.timeline_limit > sent.timeline_limit or not config.parts <= sent.parts or is_dm != sent.is_dm
    )
