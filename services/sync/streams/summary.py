"""Room summaries: how many members there are, and by whom to call a room that has no name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from protocol.events import MEMBER
from services.sync.look import Look, Section, Window
from services.sync.streams.timeline import Timeline
from services.tenant import Tenant
from storage.database import Tx
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


@dataclass(frozen=True, slots=True)
class _Members:
    """What a summary is made of, the same for all readers; `former` only where there is hardly anybody else."""

    present: Sequence[str]
    former: Sequence[str]
    joined: int
    invited: int

    def seen_by(self, reader: str) -> Summary:
        heroes = _heroes(self.present, reader) or _heroes(self.former, reader)
        return Summary(heroes, self.joined, self.invited)


async def changes(
    look: Look, windows: Sequence[Window], timelines: Mapping[str, Timeline]
) -> dict[str, Summary]:
    """The summaries of the joined rooms in which members may have changed."""
    rooms = [w.room_id for w in windows if w.section is Section.JOIN and _may_differ(w, timelines[w.room_id])]
    if not rooms:
        return {}
    return {room_id: found.seen_by(look.user_id) for room_id, found in (await _members(look, rooms)).items()}


async def _members(look: Look, rooms: Sequence[str]) -> dict[str, _Members]:
    if look.noted is None:
        return await _read(await look.connection.tx(), rooms)
    found: dict[str, _Members] = {}
    for room_id in rooms:
        key = ("summary", room_id, look.upto.position)
        found |= await look.tenant.listeners.shared.answer(key, partial(_read_one, look.tenant, room_id))
    return found


async def _read_one(tenant: Tenant, room_id: str) -> dict[str, _Members]:
    async with tenant.database.read() as tx:
        return await _read(tx, [room_id])


async def _read(tx: Tx, rooms: Sequence[str]) -> dict[str, _Members]:
    counts = await member_counts(tx, rooms)
    present = await first_members(tx, rooms, HEROES + 1)
    alone = [room_id for room_id in rooms if len(present.get(room_id, ())) <= 1]
    former = await first_former_members(tx, alone, HEROES + 1) if alone else {}
    return {
        room_id: _Members(present.get(room_id, ()), former.get(room_id, ()), *counts.get(room_id, (0, 0)))
        for room_id in rooms
    }


def _may_differ(window: Window, timeline: Timeline) -> bool:
    if window.whole or timeline.limited or not timeline.shows_all_state:
        return True
    return any(event.type == MEMBER for event in timeline.events)


def _heroes(users: Sequence[str], reader: str) -> tuple[str, ...]:
    return tuple(user for user in users if user != reader)[:HEROES]
