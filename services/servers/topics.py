"""What the topics of a commit mean for other servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from storage import topics


@dataclass(slots=True)
class Told:
    """Where other servers may have to be told something: rooms, users and servers, by what has happened."""

    rooms: set[str] = field(default_factory=set)
    receipts: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)
    """Rooms whose servers are others now."""
    devices: bool = False
    """Has anything happened that may be a change of a user's devices?"""
    mail: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)


def sort_topics(told: Iterable[str], into: Told) -> None:
    """Adds what the topics say."""
    places = {
        topics.ROOM: into.rooms,
        topics.RECEIPTS: into.receipts,
        topics.ROOM_SERVERS: into.servers,
        topics.DESTINATION: into.mail,
        topics.HEARD: into.heard,
    }
    for topic in told:
        place = places.get(topic[0])
        if place is not None:
            place.add(topic[1:])
        elif topic[0] == topics.DEVICE_LISTS and topic[1:2] == "@":
            into.devices = True


def typing_room(topic: str) -> str | None:
    """The room in which the typing has changed; None for other topics."""
    return topic[1:] if topic[0] == topics.TYPING else None
