"""What of a room is written when we enter it: of very many members only some, so that nobody else waits until all are written.

The others follow at once, some at a time (services/rooms/membership/fill.py), as in a room that was shown without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.entered_room import EnteredRoom
from protocol.events import MEMBER, Event
from protocol.ids import ServerName, server_of
from services.rooms.membership.show_room import HEROES

MANY = 500  # members


@dataclass(frozen=True, slots=True, eq=False)
class FirstPart:
    """The state with which the room begins here, the other events that were shown, and where that is not the whole state the
    servers in the room."""

    state: Sequence[Event]
    others: Sequence[Event]
    servers: tuple[ServerName, ...] | None


def first_part(room: EnteredRoom, join: Event, known: int) -> FirstPart:
    """What is written of a room that was shown to us whole. So many members are known here from when we were in it before: who
    of them is not there any more is found out some at a time, too."""
    members = [event for key, event in room.state.items() if key[0] == MEMBER]
    joined = [event for event in members if event.membership == "join"]
    servers = tuple(dict.fromkeys(server_of(event.sender) for event in joined))
    if len(members) <= MANY:
        return FirstPart(tuple(room.state.values()), room.auth_chain, servers if known > MANY else None)
    kept = {event.event_id for event in joined[:HEROES]} | {
        event.event_id for event in members if event.key == join.key
    }
    later = [event for event in members if event.event_id not in kept]
    left_out = {event.event_id for event in later}
    state = [event for event in room.state.values() if event.event_id not in left_out]
    return FirstPart(state, [*room.auth_chain, *later], servers)
