"""What there is to tell of events that other servers send."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import EventID, RoomID, ServerName
from services.observations import Level


@dataclass(frozen=True, slots=True)
class EventRefused:
    """An event of another server is not shown to anybody: it was soft-failed, rejected or dropped."""

    room_id: RoomID | None
    event_id: EventID | None
    origin: ServerName
    how: str
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.room_id or 'a room'}: {self.event_id or 'an event'} from {self.origin} {self.how}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TooMuchWaits:
    """Events of all rooms come faster than they can be placed: some are dropped, of who has sent most, and asked for later."""

    dropped: int
    rooms: int
    server: ServerName
    level: Level = Level.WARNING

    def __str__(self) -> str:
        where = (
            f"{self.dropped} events in {self.rooms} rooms do not any more, most of them from {self.server}"
        )
        return f"too much waits to be placed in all: {where}"


@dataclass(frozen=True, slots=True)
class TooManyWait:
    """Events of a room come faster than they can be placed: the oldest that wait are dropped, and asked for later."""

    room_id: RoomID
    dropped: int
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.room_id}: too many events wait to be placed; the oldest {self.dropped} do not any more"
