"""An event, as every part of the server passes it round."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from protocol.ids import EventID, RoomID, UserID
from protocol.json import JsonObject
from protocol.room_versions import EventFormat, RoomVersion

StateKey: TypeAlias = tuple[str, str]

CREATE = "m.room.create"
MEMBER = "m.room.member"
POWER_LEVELS = "m.room.power_levels"
JOIN_RULES = "m.room.join_rules"
THIRD_PARTY_INVITE = "m.room.third_party_invite"
HISTORY_VISIBILITY = "m.room.history_visibility"
REDACTION = "m.room.redaction"
ALIASES = "m.room.aliases"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Event:
    """One event of known format; `json` is the federation format, as sent (since v3: without event ID)."""

    event_id: EventID
    room_id: RoomID
    type: str
    state_key: str | None
    sender: UserID
    content: JsonObject
    origin_server_ts: int
    depth: int
    prev_events: tuple[EventID, ...]
    auth_events: tuple[EventID, ...]
    json: JsonObject
    version: RoomVersion

    @classmethod
    def from_trusted(
        cls, json: JsonObject, event_id: EventID, version: RoomVersion, room_id: RoomID
    ) -> "Event":
        """An event that was checked before (our own database); nothing is checked again."""
        prev_events, auth_events = json["prev_events"], json["auth_events"]
        if version.event_format is EventFormat.PAIRS:
            prev_events = [pair[0] for pair in prev_events]
            auth_events = [pair[0] for pair in auth_events]
        return cls(
            event_id,
            room_id,
            json["type"],
            json.get("state_key"),
            json["sender"],
            json["content"],
            json["origin_server_ts"],
            json["depth"],
            tuple(prev_events),
            tuple(auth_events),
            json,
            version,
        )

    @property
    def is_state(self) -> bool:
        """Is it a state event?"""
        return self.state_key is not None

    @property
    def key(self) -> StateKey:
        """Where a state event stands in the room state."""
        return self.type, self.state_key or ""

    @property
    def membership(self) -> str | None:
        """The membership that an m.room.member event gives; None for other events and for nonsense."""
        if self.type != MEMBER:
            return None
        membership = self.content.get("membership")
        return membership if isinstance(membership, str) else None

    @property
    def redacts(self) -> EventID | None:
        """What an m.room.redaction event redacts; None for other events and for nonsense."""
        if self.type != REDACTION:
            return None
        place = self.content if self.version.redacts_in_content else self.json
        target = place.get("redacts")
        return EventID(target) if isinstance(target, str) else None

    def __repr__(self) -> str:
        place = f" {self.state_key!r}" if self.state_key is not None else ""
        return f"<Event {self.event_id} {self.type}{place} by {self.sender}>"


StateMap: TypeAlias = Mapping[StateKey, Event]
