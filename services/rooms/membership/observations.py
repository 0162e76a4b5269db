"""What is worth telling of entering rooms of other servers."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import RoomID, ServerName, UserID
from protocol.matrix_error import MatrixError
from services.observations import Level
from services.ports import RemoteFailed


@dataclass(frozen=True, slots=True)
class EventsLeftOut:
    """A server that let us into a room showed events that are not allowed there, or not signed as they should be."""

    room_id: RoomID
    server: ServerName
    count: int
    example: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.room_id} as {self.server} shows it has {self.count} events that are left out: {self.example}"


@dataclass(frozen=True, slots=True)
class RoomNotCompleted:
    """The members of a room that we have joined could not be fetched; it is tried again."""

    room_id: RoomID
    failed: RemoteFailed | MatrixError
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.room_id} waits for its members: {self.failed}"


@dataclass(frozen=True, slots=True)
class NotLeftAgain:
    """A user of ours had left a room in which others say the user is, and cannot leave it anew."""

    room_id: RoomID
    user_id: UserID
    failed: MatrixError
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.user_id} had left {self.room_id}, and is said to be in it again: {self.failed}"
