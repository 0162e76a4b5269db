"""What is worth telling of entering rooms of other servers."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import RoomID
from services.observations import Level
from services.ports import RemoteFailed


@dataclass(frozen=True, slots=True)
class RoomNotCompleted:
    """The members of a room that we have joined could not be fetched; it is tried again."""

    room_id: RoomID
    failed: RemoteFailed
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.room_id} waits for its members: {self.failed}"
