"""What there is to tell of the state of rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.events import StateKey
from protocol.ids import EventID, RoomID
from services.observations import Level
from services.tenant import Tenant


@dataclass(frozen=True, slots=True)
class StateResolved:
    """Branches of a room had different states."""

    room_id: RoomID
    conflicts: int
    loaded: int
    level: Level = Level.DEBUG

    def __str__(self) -> str:
        return f"{self.room_id}: branches differed in {self.conflicts} keys; {self.loaded} events decided"


@dataclass(frozen=True, slots=True)
class StateLost:
    """Something is not in a room's state any more, and no event says so: a resolution took it out."""

    room_id: RoomID
    key: StateKey
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.room_id}: {self.key[0]} {self.key[1]!r} was lost from the state in a state resolution"


def tell_lost_state(tenant: Tenant, room_id: RoomID, changes: Mapping[StateKey, EventID | None]) -> None:
    """To be called with what a resolution changed in the state of a room's head; no event takes a key out."""
    for key, event_id in changes.items():
        if event_id is None:
            tenant.observe(StateLost(room_id, key))
