"""The room versions as values: code asks what a version can do, never which one it is.

Each version is what its predecessor is, save for the fields named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

from protocol.errors import UnsupportedRoomVersion
from protocol.redaction_rules import (
    REDACTION_V1,
    REDACTION_V6,
    REDACTION_V8,
    REDACTION_V9,
    REDACTION_V11,
    RedactionRules,
)


class EventFormat(Enum):
    """How an event names the events before it."""

    PAIRS = "prev_events and auth_events are [event ID, hashes] pairs"
    IDS = "prev_events and auth_events are event IDs"


class EventIdForm(Enum):
    """Where an event's ID comes from."""

    CHOSEN = "chosen by the sending server, a field of the event"
    HASH = "reference hash in standard base64"
    URL_SAFE_HASH = "reference hash in URL-safe base64"


class StateResolution(Enum):
    """The state resolution algorithm."""

    V1 = "1"
    V2 = "2"
    V2_1 = "2.1"


@dataclass(frozen=True, slots=True)
class RoomVersion:
    """What holds in rooms of one version. `id` is for showing and storing only."""

    id: str
    event_format: EventFormat
    event_id_form: EventIdForm
    redaction: RedactionRules
    state_resolution: StateResolution
    max_depth: int
    # Canonical JSON is enforced: no floats, no integers beyond 53 bits.
    strict_canonical_json: bool
    # Events must be signed by keys that were valid at their time.
    enforce_key_validity: bool
    # The server in the event ID must have signed too, and a redaction is authorised by event IDs.
    event_id_names_server: bool
    # `m.room.aliases` is authorised by its state_key alone.
    aliases_special_auth: bool
    # A change of `notifications` in the power levels needs the power that it grants.
    limit_notifications_levels: bool
    knock_join_rule: bool
    restricted_join_rule: bool
    knock_restricted_join_rule: bool
    integer_power_levels: bool
    string_power_levels: bool
    float_power_levels: bool
    # `redacts` is in the content of a redaction, not at its top.
    redacts_in_content: bool
    # The creator is the sender of the create event, which needs no `creator` in its content.
    implicit_creator: bool
    # COMPAT Synapse: where this is false, a field over 255 bytes but within 255 code points makes an event
    # rejected (kept as a hole-stopper), not invalid (dropped).
    strict_byte_limits: bool
    # The room ID is the create event's ID; nobody names the create event in auth_events.
    room_id_is_create_hash: bool
    # Creators, additional ones too, have infinite power.
    creator_power: bool

    @property
    def event_id_is_hash(self) -> bool:
        """Is the event ID computed rather than sent?"""
        return self.event_id_form is not EventIdForm.CHOSEN


V1: Final = RoomVersion(
    id="1",
    event_format=EventFormat.PAIRS,
    event_id_form=EventIdForm.CHOSEN,
    redaction=REDACTION_V1,
    state_resolution=StateResolution.V1,
    max_depth=2**63 - 1,
    strict_canonical_json=False,
    enforce_key_validity=False,
    event_id_names_server=True,
    aliases_special_auth=True,
    limit_notifications_levels=False,
    knock_join_rule=False,
    restricted_join_rule=False,
    knock_restricted_join_rule=False,
    integer_power_levels=False,
    string_power_levels=True,
    float_power_levels=True,
    redacts_in_content=False,
    implicit_creator=False,
    strict_byte_limits=False,
    room_id_is_create_hash=False,
    creator_power=False,
)
V2: Final = replace(V1, id="2", state_resolution=StateResolution.V2)
V3: Final = replace(
    V2,
    id="3",
    event_format=EventFormat.IDS,
    event_id_form=EventIdForm.HASH,
    event_id_names_server=False,
)
V4: Final = replace(V3, id="4", event_id_form=EventIdForm.URL_SAFE_HASH)
V5: Final = replace(V4, id="5", enforce_key_validity=True)
V6: Final = replace(
    V5,
    id="6",
    redaction=REDACTION_V6,
    max_depth=2**53 - 1,
    strict_canonical_json=True,
    aliases_special_auth=False,
    limit_notifications_levels=True,
    float_power_levels=False,
)
V7: Final = replace(V6, id="7", knock_join_rule=True)
V8: Final = replace(V7, id="8", redaction=REDACTION_V8, restricted_join_rule=True)
V9: Final = replace(V8, id="9", redaction=REDACTION_V9)
V10: Final = replace(
    V9,
    id="10",
    knock_restricted_join_rule=True,
    integer_power_levels=True,
    string_power_levels=False,
)
V11: Final = replace(
    V10,
    id="11",
    redaction=REDACTION_V11,
    redacts_in_content=True,
    implicit_creator=True,
    strict_byte_limits=True,
)
V12: Final = replace(
    V11,
    id="12",
    state_resolution=StateResolution.V2_1,
    room_id_is_create_hash=True,
    creator_power=True,
)

ROOM_VERSIONS: Final[Mapping[str, RoomVersion]] = MappingProxyType(
    {version.id: version for version in (V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12)}
)
# The recommended default (§Complete list of room versions).
DEFAULT_ROOM_VERSION: Final = V12


def version_named(id: str) -> RoomVersion:
    """The room version of this name; raises UnsupportedRoomVersion."""
    try:
        return ROOM_VERSIONS[id]
    except KeyError:
        raise UnsupportedRoomVersion(f"room version {id!r} is not supported") from None


def version_of_create(content: Mapping[str, object]) -> RoomVersion:
    """The version of the room that a create event with this content makes; raises UnsupportedRoomVersion."""
    # room_version: «Defaults to "1" if the key does not exist.» (m.room.create)
    named = content.get("room_version", "1")
    if not isinstance(named, str):
        raise UnsupportedRoomVersion("room_version is not a string")
    return version_named(named)
