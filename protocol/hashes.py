"""Content hash, reference hash and event IDs (§Signing Events, §Event IDs)."""

import hashlib
from typing import Final

from protocol.events import Event
from protocol.ids import EventID
from protocol.json import JsonObject, canonical_lenient
from protocol.redaction import redact
from protocol.room_versions import EventIdForm, RoomVersion
from protocol.unpadded_base64 import decode_base64, encode_base64, encode_base64_urlsafe

_NOT_IN_CONTENT_HASH: Final = frozenset(("unsigned", "signatures", "hashes"))


def content_hash(json: JsonObject) -> bytes:
    """SHA-256 of the whole event, save what is added later; raises NotCanonical."""
    covered = {key: value for key, value in json.items() if key not in _NOT_IN_CONTENT_HASH}
    return hashlib.sha256(canonical_lenient(covered)).digest()


def has_good_content_hash(event: Event) -> bool:
    """Is the event as its sender hashed it? If not: «the event must be redacted before it is processed»."""
    try:
        claimed = decode_base64(event.json["hashes"]["sha256"])
    except ValueError:
        return False
    return claimed == content_hash(event.json)


def signed_bytes(json: JsonObject, version: RoomVersion) -> bytes:
    """What servers sign of an event, and what its reference hash is made of; raises NotCanonical."""
    redacted = redact(json, version)
    redacted.pop("signatures", None)
    return canonical_lenient(redacted)


def reference_hash(json: JsonObject, version: RoomVersion) -> bytes:
    """SHA-256 of the redacted event without its signatures; raises NotCanonical."""
    return hashlib.sha256(signed_bytes(json, version)).digest()


def event_id(json: JsonObject, version: RoomVersion) -> EventID:
    """The ID of the event, computed, or read where the version sends it; raises NotCanonical."""
    if not version.event_id_is_hash:
        return EventID(json["event_id"])
    return event_id_of_hash(reference_hash(json, version), version)


def event_id_of_hash(digest: bytes, version: RoomVersion) -> EventID:
    """The event ID that a reference hash gives in a version that computes IDs."""
    if version.event_id_form is EventIdForm.HASH:
        return EventID("$" + encode_base64(digest))
    return EventID("$" + encode_base64_urlsafe(digest))
