"""Reading an event that another server sent: the format of its room version (§Event format)."""

from typing import Any, Final

from protocol.errors import InvalidEvent, Oversized
from protocol.events import CREATE, Event
from protocol.hashes import event_id as id_of
from protocol.ids import MAX_ID_BYTES, EventID, RoomID, fits, is_user_id
from protocol.json import JsonObject, canonical, canonical_lenient
from protocol.room_versions import EventFormat, RoomVersion

MAX_EVENT_BYTES: Final = 65536
MAX_PREV_EVENTS: Final = 20
MAX_AUTH_EVENTS: Final = 10

_HASH_ROOM_ID_LENGTH = 44


def parse_pdu(obj: object, version: RoomVersion, *, from_backfill: bool = False) -> Event:
    """The event that another server sent, with its ID; raises InvalidEvent, and then it is to be dropped.

    `unsigned` is left out: nobody signed it. Signatures and hashes are looked at elsewhere. The numbers of
    prev_events and auth_events are not limited for what came by /backfill.
    """
    if not isinstance(obj, dict):
        raise InvalidEvent("not an object")
    json = {key: value for key, value in obj.items() if key != "unsigned"}
    _check_size(json, version)
    _check_fields(json, version)
    prev_events, auth_events = _read_edges(json, version, from_backfill)
    event_id = id_of(json, version)
    return Event(
        event_id,
        _room_id(json, event_id, version),
        json["type"],
        json.get("state_key"),
        json["sender"],
        json["content"],
        json["origin_server_ts"],
        json["depth"],
        prev_events,
        auth_events,
        json,
        version,
    )


def room_id_of_create(event_id: EventID) -> RoomID:
    """The ID of the room that this create event makes, in versions where the one is the other."""
    return RoomID("!" + event_id[1:])


def create_of_room_id(room_id: RoomID) -> EventID:
    """The ID of the create event of this room, in versions where the one is the other."""
    return EventID("$" + room_id[1:])


def _check_size(json: JsonObject, version: RoomVersion) -> None:
    encoded = canonical(json) if version.strict_canonical_json else canonical_lenient(json)
    # «The complete event MUST NOT be larger than 65536 bytes, when formatted with the federation event
    # format, including any signatures, and encoded as Canonical JSON.»
    if len(encoded) > MAX_EVENT_BYTES:
        raise Oversized("event is larger than 65536 bytes")


def _check_fields(json: JsonObject, version: RoomVersion) -> None:
    _check_text(json, "type", version)
    _check_text(json, "sender", version)
    if not is_user_id(json["sender"]) and fits(json["sender"]):
        raise InvalidEvent("sender is not a user ID")
    if "state_key" in json:
        _check_text(json, "state_key", version)
    if not version.event_id_is_hash:
        _check_text(json, "event_id", version)
        if json["event_id"][:1] != "$" or ":" not in json["event_id"]:
            raise InvalidEvent("event_id is not an event ID")
    if not isinstance(json.get("content"), dict):
        raise InvalidEvent("content is not an object")
    at = json.get("origin_server_ts")
    # COMPAT PostgreSQL: room versions 1 to 5 have no bounds, but no homeserver on it can take a larger one.
    if type(at) is not int or not -(2**63) <= at < 2**63:
        raise InvalidEvent("origin_server_ts is not an integer of at most 64 bits")
    depth = json.get("depth")
    if type(depth) is not int or not 0 <= depth <= version.max_depth:
        raise InvalidEvent("depth is not an integer within its bounds")
    _check_hashes(json.get("hashes"))
    _check_signatures(json.get("signatures"))


def _check_text(json: JsonObject, field: str, version: RoomVersion) -> None:
    text = json.get(field)
    if not isinstance(text, str):
        raise InvalidEvent(f"{field} is not a string")
    # COMPAT Synapse counted code points long: what passes here for that is rejected by check_auth_events.
    if not fits(text) and (version.strict_byte_limits or len(text) > MAX_ID_BYTES):
        raise Oversized(f"{field} is larger than 255 bytes")
    # COMPAT PostgreSQL: its text has no U+0000, so that no homeserver on it can take such an event.
    if "\x00" in text:
        raise InvalidEvent(f"{field} contains U+0000")


def _check_hashes(hashes: object) -> None:
    if not isinstance(hashes, dict) or not isinstance(hashes.get("sha256"), str):
        raise InvalidEvent("hashes has no sha256")


def _check_signatures(signatures: object) -> None:
    if not isinstance(signatures, dict):
        raise InvalidEvent("signatures is not an object")
    for by_server in signatures.values():
        if not isinstance(by_server, dict) or not all(isinstance(s, str) for s in by_server.values()):
            raise InvalidEvent("signatures are not objects of strings")


def _read_edges(
    json: JsonObject, version: RoomVersion, from_backfill: bool
) -> tuple[tuple[EventID, ...], tuple[EventID, ...]]:
    prev_events = _event_ids(json.get("prev_events"), "prev_events", version)
    auth_events = _event_ids(json.get("auth_events"), "auth_events", version)
    # The two limits must not be checked on what came in a /backfill response (§Backfilling).
    if not from_backfill and len(prev_events) > MAX_PREV_EVENTS:
        raise InvalidEvent("more than 20 prev_events")
    if not from_backfill and len(auth_events) > MAX_AUTH_EVENTS:
        raise InvalidEvent("more than 10 auth_events")
    return prev_events, auth_events


def _event_ids(edges: Any, field: str, version: RoomVersion) -> tuple[EventID, ...]:
    if not isinstance(edges, list):
        raise InvalidEvent(f"{field} is not a list")
    if version.event_format is EventFormat.PAIRS:
        for pair in edges:
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], dict):
                raise InvalidEvent(f"{field} are not pairs of event ID and hashes")
        edges = [pair[0] for pair in edges]
    for event_id in edges:
        if not isinstance(event_id, str) or event_id[:1] != "$" or "\x00" in event_id or not fits(event_id):
            raise InvalidEvent(f"{field} are not event IDs")
    return tuple(edges)


def _room_id(json: JsonObject, event_id: EventID, version: RoomVersion) -> RoomID:
    if version.room_id_is_create_hash and json["type"] == CREATE and json.get("state_key") == "":
        # A room_id that the event brings all the same is for the auth rules to reject.
        return room_id_of_create(event_id)
    _check_text(json, "room_id", version)
    room_id = json["room_id"]
    if room_id[:1] != "!":
        raise InvalidEvent("room_id is not a room ID")
    if version.room_id_is_create_hash and len(room_id) != _HASH_ROOM_ID_LENGTH:
        raise InvalidEvent("room_id is not the hash of a create event")
    return RoomID(room_id)
