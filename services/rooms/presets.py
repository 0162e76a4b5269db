"""What a new room is like: the presets and the power levels that it begins with (§Creation)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from protocol.build import EventDraft
from protocol.events import HISTORY_VISIBILITY, JOIN_RULES
from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion

GUEST_ACCESS: Final = "m.room.guest_access"
CREATOR_LEVEL: Final = 100


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset of createRoom. `trusting`: those who are invited at once may do what the creator may."""

    join_rule: str
    history_visibility: str
    guest_access: str
    invite_level: int
    trusting: bool = False

    def drafts(self) -> list[EventDraft]:
        """Its state events. A room without the one for guests shuts them out."""
        drafts = [
            EventDraft(JOIN_RULES, {"join_rule": self.join_rule}, ""),
            EventDraft(HISTORY_VISIBILITY, {"history_visibility": self.history_visibility}, ""),
        ]
        if self.guest_access != "forbidden":
            drafts.append(EventDraft(GUEST_ACCESS, {"guest_access": self.guest_access}, ""))
        return drafts


PRESETS: Final = MappingProxyType(
    {
        "private_chat": Preset("invite", "shared", "can_join", 0),
        "trusted_private_chat": Preset("invite", "shared", "can_join", 0, trusting=True),
        "public_chat": Preset("public", "shared", "forbidden", 50),
    }
)
# «If unspecified, the server should use the visibility to determine which preset to use.»
PRESET_OF_VISIBILITY: Final = MappingProxyType({"private": "private_chat", "public": "public_chat"})


def power_levels(
    version: RoomVersion, preset: Preset, creator: UserID, guests: Collection[UserID]
) -> JsonObject:
    """The content of the power levels event that a new room begins with."""
    events: dict[str, Any] = {
        "m.room.name": 50,
        "m.room.power_levels": 100,
        "m.room.history_visibility": 100,
        "m.room.canonical_alias": 50,
        "m.room.avatar": 50,
        # «the m.room.tombstone event [needs] a level above state_default, so that admins who are no creators cannot
        # upgrade» (room version 12)
        "m.room.tombstone": 150 if version.creator_power else 100,
        "m.room.server_acl": 100,
        "m.room.encryption": 100,
    }
    if preset.join_rule == "public":
        events["m.call.invite"] = 50
    users = {} if version.creator_power else dict.fromkeys((creator, *guests), CREATOR_LEVEL)
    return {
        "users": users,
        "users_default": 0,
        "events": events,
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": preset.invite_level,
        "historical": 100,
    }
