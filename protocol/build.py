"""Making an event of our own: content hash, signature and event ID in one pass (§Signing Events)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from protocol.auth.levels import has_integer_levels, is_table_of_integers
from protocol.errors import InvalidEvent, NotCanonical, Oversized
from protocol.event_format import MAX_EVENT_BYTES, room_id_of_create
from protocol.events import POWER_LEVELS, REDACTION, Event
from protocol.hashes import event_id_of_hash, reference_hash
from protocol.ids import EventID, RoomID, ServerName, UserID, fits
from protocol.json import MAX_INTEGER, JsonObject, check_canonical, encode_checked
from protocol.redaction import redact
from protocol.room_versions import EventFormat, RoomVersion
from protocol.signing import SigningKey
from protocol.unpadded_base64 import encode_base64


@dataclass(frozen=True, slots=True)
class Named:
    """An event as a template names it: we may not have it. Versions 1 and 2 name its hashes too."""

    event_id: EventID
    hashes: JsonObject


# An event before ours; versions 1 and 2 also name its hash, so that there it must be more than the ID.
PrevEvent: TypeAlias = EventID | Event | Named

# More than `hashes` and one signature add to an event.
_HASH_AND_SIGNATURE_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class EventDraft:
    """What somebody wants to say. `redacts` is put where the room version has it."""

    type: str
    content: JsonObject
    state_key: str | None = None
    redacts: EventID | None = None


def build_event(
    version: RoomVersion,
    draft: EventDraft,
    *,
    room_id: RoomID | None,
    sender: UserID,
    prev_events: Sequence[PrevEvent],
    auth_events: Sequence[Event | Named],
    depth: int,
    origin_server_ts: int,
    key: SigningKey,
    server_name: ServerName,
    event_id: EventID | None = None,
) -> Event:
    """The draft as a signed event; raises InvalidEvent or Oversized for what a client may not send.

    `room_id` is None for a create event in versions where it follows from the event. `event_id` is given in
    versions 1 and 2, where it is chosen; there prev_events must be events, since their hashes are named.
    """
    json: JsonObject = {
        "type": draft.type,
        "sender": sender,
        "content": draft.content,
        "origin_server_ts": origin_server_ts,
        # Ours is never more than Canonical JSON can say, whatever others have put into an old room.
        "depth": min(depth, version.max_depth, MAX_INTEGER),
        "prev_events": [_reference(prev, version) for prev in prev_events],
        "auth_events": [_reference(auth_event, version) for auth_event in auth_events],
    }
    if room_id is not None:
        json["room_id"] = room_id
    if draft.state_key is not None:
        json["state_key"] = draft.state_key
    if not version.event_id_is_hash:
        if event_id is None:
            raise InvalidEvent("this room version wants an event ID chosen")
        json["event_id"] = event_id
    if draft.type == REDACTION:
        _place_redacts(json, draft, version)
    _check_draft(json)
    computed_id = _hash_and_sign(json, version, server_name, key)
    event_id = event_id if event_id is not None else computed_id
    return Event.from_trusted(
        json, event_id, version, room_id if room_id is not None else room_id_of_create(event_id)
    )


def _reference(event: PrevEvent, version: RoomVersion) -> Any:
    if version.event_format is EventFormat.IDS:
        return event.event_id if isinstance(event, Event | Named) else event
    if isinstance(event, Named):
        return [event.event_id, event.hashes]
    if not isinstance(event, Event):
        raise InvalidEvent("this room version wants the hashes of prev_events")
    return [event.event_id, {"sha256": encode_base64(reference_hash(event.json, version))}]


def _place_redacts(json: JsonObject, draft: EventDraft, version: RoomVersion) -> None:
    # Clients may give it in either place, whatever the version (MSC4169).
    redacts = draft.redacts if draft.redacts is not None else draft.content.get("redacts")
    content = {key: value for key, value in draft.content.items() if key != "redacts"}
    if redacts is not None:
        (content if version.redacts_in_content else json)["redacts"] = redacts
    json["content"] = content


def _check_draft(json: JsonObject) -> None:
    """Raise InvalidEvent for what no client may send, in old room versions too."""
    content = json["content"]
    try:
        check_canonical(content)
        if not all(
            fits(json.get(name, "")) for name in ("type", "sender", "room_id", "state_key", "event_id")
        ):
            raise Oversized("a field is larger than 255 bytes")
    except NotCanonical as e:
        raise InvalidEvent(str(e)) from e
    if "\x00" in json["type"] or "\x00" in json.get("state_key", ""):
        # COMPAT PostgreSQL: see event_format.
        raise InvalidEvent("type or state_key contains U+0000")
    if json["type"] == POWER_LEVELS:
        users = content.get("users", {})
        if not has_integer_levels(content) or not is_table_of_integers(users):
            raise InvalidEvent("power levels are not integers")


def _hash_and_sign(
    json: JsonObject, version: RoomVersion, server_name: ServerName, key: SigningKey
) -> EventID:
    """Add hashes and signatures to the event, and say what its reference hash makes its ID."""
    try:
        encoded = encode_checked(json)
        json["hashes"] = {"sha256": encode_base64(hashlib.sha256(encoded).digest())}
        # Without signatures yet, the redacted event is both what is signed and what the reference hash
        # covers.
        signed = encode_checked(redact(json, version))
        json["signatures"] = {server_name: {key.name: key.sign(signed)}}
        if len(encoded) > MAX_EVENT_BYTES - _HASH_AND_SIGNATURE_BYTES and (
            len(encode_checked(json)) > MAX_EVENT_BYTES
        ):
            raise Oversized("event is larger than 65536 bytes")
    except NotCanonical as e:
        raise InvalidEvent(str(e)) from e
    return event_id_of_hash(hashlib.sha256(signed).digest(), version)
