"""Room summaries: how many members there are, and by whom to call a room that has no name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.events import MEMBER
from services.sync.look import Look, Section, Window
from services.sync.streams.timeline import Timeline
from storage.state_reading import first_former_members, first_members, member_counts

HEROES = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """A room's summary for one reader, who is never a hero."""

    heroes: tuple[str, ...]
    joined: int
    invited: int

    def json(self) -> dict[str, object]:
        """As it is told."""
        return {
            "m.heroes": self.heroes,
            "m.joined_member_count": self.joined,
            "m.invited_member_count": self.invited,
        }


async def changes(
    look: Look, windows: Sequence[Window], timelines: Mapping[str, Timeline]
) -> dict[str, Summary]:
    """The summaries of the joined rooms in which members may have changed."""
    rooms = [w.room_id for w in windows if w.section is Section.JOIN and _may_differ(w, timelines[w.room_id])]
    if not rooms:
        return {}
    tx = await look.connection.tx()
    counts = await member_counts(tx, rooms)
    present = await first_members(tx, rooms, HEROES + 1)
    heroes = {room_id: _heroes(present.get(room_id, ()), look.user_id) for room_id in rooms}
    alone = [room_id for room_id in rooms if not heroes[room_id]]
    if alone:
        former = await first_former_members(tx, alone, HEROES + 1)
        heroes |= {room_id: _heroes(former.get(room_id, ()), look.user_id) for room_id in alone}
    return {room_id: Summary(heroes[room_id], *counts.get(room_id, (0, 0))) for room_id in rooms}


def _may_differ(window: Window, timeline: Timeline) -> bool:
    if window.whole or timeline.limited or not timeline.shows_all_state:
        return True
    return any(event.type == MEMBER for event in timeline.events)


def _heroes(users: Sequence[str], reader: str) -> tuple[str, ...]:
    return tuple(user for user in users if user != reader)[:HEROES]
