"""What goes between the servers, and the checks on receipt that need no room: format, signatures, content hash."""

from __future__ import annotations

from functools import lru_cache

import orjson

from protocol.errors import ProtocolError
from protocol.event_format import parse_pdu
from protocol.events import Event
from protocol.hashes import has_good_content_hash
from protocol.ids import ServerName
from protocol.redaction import redact_event
from protocol.room_versions import version_named
from protocol.signing import check_event_signatures, required_signers
from tests.protocol.rooms import key_of


def encoded(event: Event) -> bytes:
    """The event as it is sent."""
    return orjson.dumps(event.json, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=20_000)
def checked(pdu: bytes, version_id: str) -> Event | None:
    """The event; in its redacted form where its content is not what was hashed; None if it is to be dropped.

    It is a function of the bytes alone, so that servers may share what it gives.
    """
    try:
        event = parse_pdu(orjson.loads(pdu), version_named(version_id))
        keys = {}
        for server in required_signers(event):
            key = key_of(server).verify_key
            keys[ServerName(server)] = {key.name: key}
        check_event_signatures(event, keys)
    except ProtocolError:
        return None
    return event if has_good_content_hash(event) else redact_event(event)
