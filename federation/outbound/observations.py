"""What the sender has seen happen."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import ServerName
from services.observations import Level


@dataclass(frozen=True, slots=True)
class DestinationFails:
    """A server cannot be told any more what happens here; nothing is lost."""

    server: ServerName
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.server} cannot be reached: {self.reason}"


@dataclass(frozen=True, slots=True)
class DestinationBack:
    """A server that could not be reached has taken something again."""

    server: ServerName
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.server} can be reached again"


@dataclass(frozen=True, slots=True)
class EventsRefused:
    """A server did not take some of our events."""

    server: ServerName
    refused: int
    example: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.server} refused {self.refused} of our events, one of them because: {self.example}"


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A server refuses whatever transaction has this in it: it has been left out, and the server lacks it."""

    server: ServerName
    what: str
    reason: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return (
            f"{self.server} never takes a certain {self.what}, which it is not told any more: {self.reason}"
        )
